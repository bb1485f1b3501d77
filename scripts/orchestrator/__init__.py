"""distributed-task-orchestrator: plans of many tasks, run in parallel, judged by evidence."""

__version__ = "0.1.0"
