/**
 * Aligned columns as Go's text/tabwriter makes them, which all of kubectl prints through: a cell is what a tab ends; a column
 * is a run of consecutive lines that have a cell there, as wide as its widest cell plus padding.
 */
export function tabulate(text: string, min: number, padding: number): string {
  const lines = text.split('\n').map((line) => line.split('\t'));
  const widths: number[] = [];
  const out: string[] = [];
  const emit = (from: number, to: number): void => {
    for (let i = from; i < to; i++) {
      const cells = lines[i]!;
      out.push(cells.map((cell, j) => (j < cells.length - 1 ? cell.padEnd(widths[j] ?? 0) : cell)).join(''));
    }
  };
  const format = (from: number, to: number): void => {
    const column = widths.length;
    let start = from;
    for (let at = from; at < to; at++) {
      if (column >= lines[at]!.length - 1) continue;
      emit(start, at);
      start = at;
      let width = min;
      for (; at < to && column < lines[at]!.length - 1; at++) width = Math.max(width, [...lines[at]![column]!].length + padding);
      widths.push(width);
      format(start, at);
      widths.pop();
      start = at;
      at--;
    }
    emit(start, to);
  };
  format(0, lines.length);
  return out.join('\n');
}

/** As `kubectl get` aligns; `known` remembers widths between calls (a watch). */
export function getTable(rows: readonly (readonly string[])[], known: number[] = []): string {
  for (const row of rows) {
    for (let i = 0; i < row.length - 1; i++) known[i] = Math.max(known[i] ?? 6, [...row[i]!].length + 3);
  }
  return rows.map((row) => `${row.map((cell, i) => (i < row.length - 1 ? cell.padEnd(known[i]!) : cell)).join('')}\n`).join('');
}
