/** The account of that name, or undefined. */
export function find(database, name) {
  return database.get(`select * from accounts where name = '${name}'`);
}
