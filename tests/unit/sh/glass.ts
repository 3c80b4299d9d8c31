/** A small terminal for tests: cells, a cursor, the sequences that a line editor uses, wrapping at the last column as xterm does it. */
export interface Glass {
  cols: number;
  rows: string[][];
  row: number;
  col: number;
  wrap: boolean;
  rest: string;
}

export function createGlass(cols: number): Glass {
  return { cols, rows: [[]], row: 0, col: 0, wrap: false, rest: '' };
}

const wide = (char: string): boolean => /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uff00-\uff60]|[\u{1f300}-\u{1faff}]/u.test(char);

function line(g: Glass, row: number): string[] {
  while (g.rows.length <= row) g.rows.push([]);
  return g.rows[row]!;
}

export function feed(g: Glass, data: string): void {
  const all = g.rest + data;
  g.rest = '';
  const pieces = /\x1b\][^\x07]*\x07|\x1b\[([0-9;?]*)([A-Za-z])|\x1b|[\s\S]/gu;
  for (const m of all.matchAll(pieces)) {
    const piece = m[0];
    if (piece.startsWith('\x1b]') || piece === '\x07') continue;
    if (m[2]) control(g, m[2], m[1] ?? '');
    else if (piece === '\r') { g.col = 0; g.wrap = false; }
    else if (piece === '\n') { g.row++; g.wrap = false; line(g, g.row); }
    else if (piece === '\b') { g.col = Math.max(0, g.col - 1); g.wrap = false; }
    else put(g, piece);
  }
}

function put(g: Glass, char: string): void {
  const width = wide(char) ? 2 : 1;
  if (g.wrap || g.col + width > g.cols) {
    g.row++;
    g.col = 0;
    g.wrap = false;
  }
  const cells = line(g, g.row);
  while (cells.length < g.col) cells.push(' ');
  cells[g.col] = char;
  if (width === 2) cells[g.col + 1] = '';
  g.col += width;
  if (g.col >= g.cols) {
    g.col = g.cols - 1;
    g.wrap = true;
  }
}

function control(g: Glass, final: string, parameters: string): void {
  const n = Number(parameters) || 1;
  g.wrap = false;
  if (final === 'A') g.row = Math.max(0, g.row - n);
  else if (final === 'B') g.row = Math.min(g.rows.length - 1, g.row + n);
  else if (final === 'C') g.col = Math.min(g.cols - 1, g.col + n);
  else if (final === 'D') g.col = Math.max(0, g.col - n);
  else if (final === 'J' && parameters === '2') g.rows = g.rows.map(() => []);
  else if (final === 'J') {
    line(g, g.row).length = Math.min(line(g, g.row).length, g.col);
    g.rows.length = g.row + 1;
  } else if (final === 'H') { g.row = 0; g.col = 0; }
}

export function text(g: Glass): string[] {
  return g.rows.map((cells) => cells.join('').trimEnd());
}
