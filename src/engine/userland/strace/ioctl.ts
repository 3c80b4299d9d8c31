/** ioctl's request and its argument as strace writes them: terminals and descriptors by name, others by number. Source: ioctl_tty(2). */
import * as abi from '../../kernel/abi.ts';
import type { Termios, Winsize } from '../../kernel/sys.ts';
import { termiosText } from './structs.ts';
import { type Cx, namesOf, pointer } from './values.ts';

const NAMES = new Map<number, string>([...namesOf('TC'), ...namesOf('TIOC'), ...namesOf('FION'), ...namesOf('PERF_EVENT_IOC')].map(([name, number]) => [number, name]));

const winsize = (w: Winsize): string => `{ws_row=${w.rows}, ws_col=${w.cols}, ws_xpixel=0, ws_ypixel=0}`;

type Argument = (cx: Cx, value: unknown) => string;

const ARGUMENTS: ReadonlyMap<number, Argument> = new Map<number, Argument>([
  [abi.TCGETS, (_cx, value) => termiosText(value as Termios)], [abi.TCSETS, (_cx, value) => termiosText(value as Termios)], [abi.TCSETSW, (_cx, value) => termiosText(value as Termios)],
  [abi.TCSETSF, (_cx, value) => termiosText(value as Termios)], [abi.TIOCGWINSZ, (_cx, value) => winsize(value as Winsize)], [abi.TIOCSWINSZ, (_cx, value) => winsize(value as Winsize)],
  [abi.TIOCGPGRP, (_cx, value) => `[${value}]`], [abi.TIOCSPGRP, (_cx, value) => `[${value}]`], [abi.TIOCGSID, (_cx, value) => `[${value}]`], [abi.FIONREAD, (_cx, value) => `[${value}]`],
  [abi.TIOCGPTN, (_cx, value) => `[${value}]`], [abi.TIOCSPTLCK, (_cx, value) => `[${value ?? 0}]`], [abi.TIOCSCTTY, (_cx, value) => String(value ?? 0)],
]);
const FILLED = new Set<number>([abi.TCGETS, abi.TIOCGWINSZ, abi.TIOCGPGRP, abi.TIOCGSID, abi.FIONREAD, abi.TIOCGPTN]);

export function ioctlText(cx: Cx): string {
  const request = Number(cx.args[1]);
  const name = NAMES.get(request) ?? `_IOC(0, 0x${((request >> 8) & 0xff).toString(16)}, 0x${(request & 0xff).toString(16)}, 0)`;
  const gives = FILLED.has(request);
  const value = gives ? cx.result : cx.args[2];
  const print = ARGUMENTS.get(request);
  if (!print) return value === undefined || gives ? `${name}${gives ? `, ${pointer(cx, 1)}` : ''}` : `${name}, ${typeof value === 'object' ? pointer(cx, 1) : String(value)}`;
  if ((gives && cx.failed) || (typeof value === 'object' && value === null) || value === undefined) return `${name}, ${pointer(cx, 1)}`;
  return `${name}, ${print(cx, value)}`;
}
