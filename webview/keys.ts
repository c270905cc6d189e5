/** Where a key moves the active item of a vertical list, or undefined when the key is not for moving. */
export function moved(
  key: string,
  position: number,
  range: { readonly first: number; readonly end: number; readonly page: number },
): number | undefined {
  const step = { ArrowUp: -1, ArrowDown: 1, PageUp: -range.page, PageDown: range.page }[key];
  const last = range.end - 1;
  if (last < range.first) return undefined;
  if (key === "Home") return range.first;
  if (key === "End") return last;
  if (step === undefined) return undefined;
  return Math.min(last, Math.max(range.first, position + step));
}

/** The same for a horizontal row of `count` things that wraps around. */
export function movedAcross(key: string, index: number, count: number): number | undefined {
  if (key === "Home") return 0;
  if (key === "End") return count - 1;
  const step = { ArrowLeft: -1, ArrowRight: 1 }[key];
  return step === undefined ? undefined : (index + step + count) % count;
}

/** No Ctrl, Alt or Meta: the key is ours. */
export function plain(event: KeyboardEvent): boolean {
  return !event.ctrlKey && !event.altKey && !event.metaKey;
}
