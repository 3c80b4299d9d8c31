/**
 * Flags in a command's help, as wide as the terminal of standard input: the words after a flag are broken at spaces, and a last line
 * may be a little longer than it ought to be rather than leave a short word alone. Source: github.com/spf13/pflag (FlagUsagesWrapped),
 * docker/cli cli/cobra.go.
 */
import { sys } from '../../../../kernel/sys.ts';
import { TIOCGWINSZ, type Winsize } from '../../../../kernel/abi.ts';
import { attempt } from '../../../lib/files.ts';
import type { Call } from '../../../lib/http.ts';

/** Columns of standard input's terminal; 80 without one. */
export function* columns(): Call<number> {
  const size = (yield* attempt(sys('ioctl', 0, TIOCGWINSZ), null)) as Winsize | null;
  return size && size.cols > 0 ? size.cols : 80;
}

const SLOP = 5;
/** Room for words below which they begin on a line of their own. */
const LEAST = 24;
const BLOCK = 16;

/** A line's worth of a text, and what is left of it. */
function broken(text: string, room: number): [line: string, rest: string] {
  if (room + SLOP > text.length) return [text, ''];
  const head = text.slice(0, room);
  const space = Math.max(head.lastIndexOf(' '), head.lastIndexOf('\t'), head.lastIndexOf('\n'));
  if (space <= 0) return [text, ''];
  const end = head.lastIndexOf('\n');
  const at = end > 0 && end < space ? end : space;
  return [text.slice(0, at), text.slice(at + 1)];
}

function wrapped(text: string, column: number, width: number): string {
  const narrow = width - column < LEAST;
  const indent = narrow ? BLOCK : column;
  const margin = `\n${' '.repeat(indent)}`;
  if (width - indent < LEAST) return text.replaceAll('\n', narrow ? margin : '');
  const lines: string[] = [];
  for (let [line, rest] = broken(text, width - indent - SLOP); ; [line, rest] = broken(rest, width - indent - SLOP)) {
    lines.push(line.replaceAll('\n', margin));
    if (rest === '') break;
  }
  return `${narrow ? margin : ''}${lines.join(margin)}`;
}

/** The block of flags, which is kept with each text on one line, for a terminal of so many columns. */
export function flagUsages(block: string, width: number): string {
  const rows: { flag: string; text: string }[] = [];
  for (const line of block.replace(/^\n|\s+$/g, '').split('\n')) {
    const found = /^( {2}(?:-\w, | {4})--[\w-]+(?: \S+)?)( {2,})(\S.*)$/.exec(line);
    if (found) rows.push({ flag: found[1]!, text: found[3]! });
    // A flag without a text is not shown.
    else if (/^ {6}--[\w-]+(?: \S+)?$/.test(line.trimEnd())) continue;
    else if (rows.length > 0) rows.at(-1)!.text += `\n${line}`;
  }
  const column = rows.reduce((most, { flag }) => Math.max(most, flag.length), 0) + 3;
  return rows.map(({ flag, text }) => {
    // Further lines of a text stand in the block where its first does.
    const own = text.replaceAll(`\n${' '.repeat(column)}`, '\n');
    return `${flag.padEnd(column)}${wrapped(own, column, width - 1)}`;
  }).join('\n');
}
