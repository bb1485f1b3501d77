/** What a user proves to be himself with. */
export function token(length = 8) {
  return Array.from({ length }, () => Math.floor(Math.random() * 36).toString(36)).join("");
}
