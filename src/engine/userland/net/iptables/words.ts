/** What iptables says when it cannot, and how it writes strings. Source: iptables 1.8.11 (nf_tables), xshared.c, xtables.c. */

export const VERSION = 'iptables v1.8.11 (nf_tables)';
export const TRY = "Try `iptables -h' or 'iptables --help' for more information.";

/** A complaint of iptables, with its exit status. */
export class IptablesError extends Error {
  readonly status: number;
  constructor(message: string, status: number) {
    super(message);
    this.status = status;
  }
}

/** PARAMETER_PROBLEM. */
export function usage(message: string): IptablesError {
  return new IptablesError(`${VERSION}: ${message}\n${TRY}`, 2);
}

/** xtables_save_string: quotes round anything but letters, digits, "_" and "-". */
export function saved(text: string): string {
  return /^[\w-]+$/.test(text) ? text : `"${text.replace(/["\\']/g, '\\$&')}"`;
}

export const hex = (n: number): string => `0x${n.toString(16)}`;

/** A number in C's notation below `limit`; null when it is none. */
export function number(text: string, limit = 0xffffffff): number | null {
  if (!/^(0x[0-9a-f]+|\d+)$/i.test(text)) return null;
  const n = /^0[0-7]+$/.test(text) ? Number.parseInt(text, 8) : Number(text);
  return n <= limit ? n : null;
}
