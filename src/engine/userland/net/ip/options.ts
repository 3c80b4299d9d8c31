/** What stands before ip's object: how to print, and for which family. */
export interface IpOptions {
  /** Whose words: iproute2's, or the shorter ones of busybox. */
  style: 'iproute2' | 'busybox';
  brief: boolean;
  oneline: boolean;
  json: boolean;
  pretty: boolean;
  statistics: boolean;
  /** -s -s. */
  moreStatistics: boolean;
  colour: boolean;
  details: boolean;
  /** -N: numbers for names. */
  numeric: boolean;
  family: 'inet' | 'inet6' | 'any';
  netns: string | null;
  all: boolean;
  force: boolean;
  /** A file of commands, - for the standard input. */
  batch: string | null;
}

export function noOptions(): IpOptions {
  return { style: 'iproute2', brief: false, oneline: false, json: false, pretty: false, statistics: false, moreStatistics: false, colour: false, details: false, numeric: false, family: 'any', netns: null, all: false, force: false, batch: null };
}

/** JSON as iproute2 prints it: on one line, or with -p indented by four. */
export function jsonText(rows: unknown, options: Pick<IpOptions, 'pretty'>): string {
  return `${options.pretty ? prettyText(rows, 0) : JSON.stringify(rows)}\n`;
}

/** json_writer.c: what an array holds stands beside its bracket, what an object holds on lines of their own. */
function prettyText(value: unknown, depth: number): string {
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  const indent = ' '.repeat(4 * (depth + 1));
  if (Array.isArray(value)) return value.length === 0 ? '[ ]' : `[ ${value.map((one) => prettyText(one, depth + 1)).join(',')}${typeof value[0] === 'object' ? `\n${' '.repeat(4 * depth)}` : ''} ]`.replace(/\n +\]$/, ' ]');
  const members = Object.entries(value);
  if (members.length === 0) return '{}';
  return `{\n${members.map(([name, held]) => `${indent}${JSON.stringify(name)}: ${prettyText(held, depth + 1)}`).join(',\n')}\n${' '.repeat(4 * depth)}}`;
}

/** With -o a record is one line. */
export function lines(rows: readonly string[], options: IpOptions): string {
  return options.oneline ? `${rows.join('\\')}\n` : `${rows.join('\n')}\n`;
}
