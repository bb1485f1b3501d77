/** The first line of a page. */
export function greeting(name) {
  return `<h1>Hello ${name}</h1>`;
}
