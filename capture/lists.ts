/**
 * `list` with one item more: a new array as long as it is short, the same one later. `push` makes room for 16 more at
 * once, and the captures of most exchanges have one or two of anything: at 100 000 exchanges a second what survives a
 * garbage collection is what costs.
 */
export function appended<T>(list: T[], item: T): T[] {
  if (list.length < 2) return list[0] === undefined ? [item] : [list[0], item];
  list.push(item);
  return list;
}
