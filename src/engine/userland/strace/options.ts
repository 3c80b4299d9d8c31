/** Options of prctl and of sockets as strace writes them. Source: prctl(2), socket(7), tcp(7). */
import { type Cx, plain, quotedText, signalText } from './values.ts';

const capability = (value: unknown): string => {
  const name = String(value ?? '').toUpperCase();
  return name.startsWith('CAP_') || /^\d+$/.test(name) ? name : `CAP_${name}`;
};

type Words = (cx: Cx, value: unknown) => string;

const PRCTL: Readonly<Record<string, Words>> = {
  PR_SET_NAME: quotedText,
  PR_SET_PDEATHSIG: (_cx, value) => signalText(value ?? 0),
  PR_CAPBSET_READ: (_cx, value) => capability(value),
  PR_CAPBSET_DROP: (_cx, value) => capability(value),
  PR_CAP_AMBIENT: (_cx, value) => (value === undefined || value === 'clear' ? 'PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0' : `PR_CAP_AMBIENT_RAISE, ${capability(value)}, 0, 0`),
  PR_SET_NO_NEW_PRIVS: (_cx, value) => `${value ?? 1}, 0, 0, 0`,
  PR_GET_NO_NEW_PRIVS: () => '0, 0, 0, 0',
};

export function prctlArgs(cx: Cx): string {
  const name = String(cx.args[0]).replace(/^(?!PR_)/, 'PR_');
  const value = cx.args[1];
  const words = PRCTL[name];
  if (words) return `${name}, ${words(cx, value)}`;
  return value === undefined ? name : `${name}, ${plain(cx, value)}`;
}

export const SOCKET_LEVEL = (option: unknown): string => (String(option).startsWith('TCP_') ? 'SOL_TCP' : String(option).startsWith('IPV6_') ? 'SOL_IPV6' : String(option).startsWith('IP_') ? 'SOL_IP' : 'SOL_SOCKET');

export const socketName = (option: unknown): string => String(option).replace(/\..*$/, '');

export function optionValue(cx: Cx): string {
  const name = String(cx.args[1]);
  if (name === 'SO_PEERCRED') return `{pid=${cx.result}, uid=0, gid=0}, [12]`;
  if (name === 'SO_TYPE') return `[${['', 'SOCK_STREAM', 'SOCK_DGRAM', 'SOCK_RAW', '', 'SOCK_SEQPACKET'][Number(cx.result)] ?? cx.result}], [4]`;
  return `[${cx.result}], [4]`;
}
