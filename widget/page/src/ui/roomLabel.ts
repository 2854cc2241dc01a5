/** What to call a room: its name, its alias; `undefined` while there is nothing but an id, which nobody reads. */
export function roomLabel(name: string, room: string): string | undefined {
  if (name !== "" && name !== room) return name;
  return room.startsWith("#") ? room : undefined;
}
