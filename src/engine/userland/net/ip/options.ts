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
  details: boolean;
  family: 'inet' | 'inet6' | 'any';
  netns: string | null;
}

export function noOptions(): IpOptions {
  return { style: 'iproute2', brief: false, oneline: false, json: false, pretty: false, statistics: false, moreStatistics: false, details: false, family: 'any', netns: null };
}

/** JSON as iproute2 prints it: on one line, or with -p indented by four. */
export function jsonText(rows: unknown, options: IpOptions): string {
  return `${options.pretty ? JSON.stringify(rows, null, 4) : JSON.stringify(rows)}\n`;
}

/** With -o a record is one line. */
export function lines(rows: readonly string[], options: IpOptions): string {
  return options.oneline ? `${rows.join('\\')}\n` : `${rows.join('\n')}\n`;
}
