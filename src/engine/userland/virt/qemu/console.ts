/**
 * QEMU at a terminal: keys go to the guest, C-a is the escape key, and behind C-a c there is the monitor with a small line
 * editor. Source: QEMU chardev/char-mux.c, util/readline.c.
 */
import { bytes } from '../../../sim/text.ts';
import type { Call } from '../../lib/http.ts';
import { type Channel, type Emulator, feedSerial, leave, send } from './emulator.ts';
import { BANNER, monitorLine, PROMPT } from './hmp.ts';

export interface Console {
  channel: Channel;
  focus: 'guest' | 'monitor';
  /** Whether there is a guest behind it at all. */
  guest: boolean;
  escaped: boolean;
  line: string;
  greeted: boolean;
}

const ESCAPE = 1;
const HELP = [
  ['h', 'print this help'], ['x', 'exit emulator'], ['s', 'save disk data back to file (if -snapshot)'], ['t', 'toggle console timestamps'],
  ['b', 'send break (magic sysrq)'], ['c', 'switch between console and monitor'], ['C-a', 'sends C-a'],
].map(([key, text]) => `\n\rC-a ${key!.padEnd(4)} ${text}`).join('');

const say = (console: Console, text: string): Call<void> => send(console.channel, bytes(text.replace(/(?<!\r)\n/g, '\r\n')));

export function* greetMonitor(console: Console): Call<void> {
  yield* say(console, console.greeted ? PROMPT : BANNER + PROMPT);
  console.greeted = true;
}

export function* onKeys(emu: Emulator, console: Console, data: Uint8Array): Call<void> {
  const keys: number[] = [];
  for (const key of data) {
    if (console.escaped) {
      console.escaped = false;
      if (key === ESCAPE) keys.push(key);
      else yield* onEscape(emu, console, String.fromCharCode(key));
    } else if (key === ESCAPE && console.channel.mux) console.escaped = true;
    else if (console.focus === 'monitor') yield* onMonitorKey(emu, console, key);
    else keys.push(key);
  }
  if (keys.length > 0) yield* feedSerial(emu, Uint8Array.from(keys));
}

function* onEscape(emu: Emulator, console: Console, key: string): Call<void> {
  if (key === 'h' || key === '?') yield* say(console, `${HELP}\n\r`);
  if (key === 'x') {
    yield* say(console, `${emu.options.accel === 'bare' ? 'bare' : 'QEMU'}: Terminated\n\r`);
    yield* leave(emu, 0);
  }
  if (key === 'c' && console.guest) {
    console.focus = console.focus === 'guest' ? 'monitor' : 'guest';
    if (console.focus === 'monitor') yield* greetMonitor(console);
    else yield* say(console, '\n');
  }
}

function* onMonitorKey(emu: Emulator, console: Console, key: number): Call<void> {
  if (key === 13 || key === 10) {
    const line = console.line;
    console.line = '';
    yield* say(console, `\n${yield* monitorLine(emu, line)}${PROMPT}`);
  } else if (key === 8 || key === 127) {
    if (console.line === '') return;
    console.line = console.line.slice(0, -1);
    yield* say(console, '\b \b');
  } else if (key >= 32 && key < 127) {
    console.line += String.fromCharCode(key);
    yield* say(console, String.fromCharCode(key));
  }
}
