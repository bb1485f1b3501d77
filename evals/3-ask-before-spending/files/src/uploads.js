import { writeFile } from "node:fs/promises";

/** Keep what somebody has sent. */
export async function save(name, content) {
  await writeFile("uploads/" + name, content);
}
