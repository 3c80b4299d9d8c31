/** Columns that a character takes on a terminal: 0 for combining marks, 2 for East Asian wide ones and emoji. Source: Unicode UAX 11. */

const WIDE: readonly (readonly [number, number])[] = [
  [0x1100, 0x115f], [0x231a, 0x231b], [0x2329, 0x232a], [0x23e9, 0x23ec], [0x2614, 0x2615], [0x2648, 0x2653], [0x26a1, 0x26a1], [0x2705, 0x2705], [0x274c, 0x274c],
  [0x2e80, 0x303e], [0x3041, 0x33ff], [0x3400, 0x4dbf], [0x4e00, 0x9fff], [0xa000, 0xa4cf], [0xa960, 0xa97f], [0xac00, 0xd7a3], [0xf900, 0xfaff], [0xfe30, 0xfe6f],
  [0xff00, 0xff60], [0xffe0, 0xffe6], [0x1f300, 0x1f64f], [0x1f680, 0x1f6ff], [0x1f900, 0x1f9ff], [0x20000, 0x3fffd],
];
const ZERO: readonly (readonly [number, number])[] = [
  [0x300, 0x36f], [0x483, 0x489], [0x591, 0x5bd], [0x610, 0x61a], [0x64b, 0x65f], [0x1ab0, 0x1aff], [0x1dc0, 0x1dff], [0x200b, 0x200f], [0x20d0, 0x20ff], [0xfe00, 0xfe0f], [0xfe20, 0xfe2f],
];

const within = (ranges: readonly (readonly [number, number])[], code: number): boolean => ranges.some(([low, high]) => code >= low && code <= high);

export function charWidth(char: string): number {
  const code = char.codePointAt(0) ?? 0;
  if (code < 0x20 || code === 0x7f) return 2;
  if (code < 0x300) return 1;
  return within(ZERO, code) ? 0 : within(WIDE, code) ? 2 : 1;
}

/** How a character is shown: control characters as ^X. */
export function shownAs(char: string): string {
  const code = char.codePointAt(0) ?? 0;
  return code < 0x20 ? `^${String.fromCharCode(code + 64)}` : code === 0x7f ? '^?' : char;
}

/** Columns of a text on one line, escape sequences not counted. */
export function textWidth(text: string): number {
  let width = 0;
  for (const char of text.replace(/\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07\x1b]*(\x07|\x1b\\)|[\r\n\x07]/g, '')) width += charWidth(char);
  return width;
}
