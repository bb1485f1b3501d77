#!/bin/sh
# Puts the files of the case into the folder of the run: `claude plugin eval --scaffold`.
cp -R "$(dirname "$0")/files/." .
