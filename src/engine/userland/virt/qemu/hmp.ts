/**
 * The human monitor: one line in, text out. Commands in a table; numbers as QEMU takes them (0x…, decimal, $rip and other
 * registers). Source: QEMU hmp-commands.hx, as 7.2 prints.
 */
import { pressPower } from '../../../machine/devices/board.ts';
import { type Regs, REGISTERS } from '../../../kernel/drivers/kvm/uapi.ts';
import type { Call } from '../../lib/http.ts';
import { cont, type Emulator, requestReset, requestShutdown, stop, updateLines } from './emulator.ts';
import { dump, mappings, memText, tlbText } from './memory.ts';
import { PACKAGE } from './options.ts';
import { registersOf, registerText } from './registers.ts';

type Command = { help: string; run(emu: Emulator, words: readonly string[]): Call<string> };

function said(help: string, text: (emu: Emulator) => string): Command {
  return {
    help,
    *run(emu) {
      return text(emu);
    },
  };
}

function acts(help: string, act: (emu: Emulator) => Call<void>): Command {
  return {
    help,
    *run(emu) {
      yield* act(emu);
      return '';
    },
  };
}

export const statusWord = (emu: Emulator): string => (emu.status === 'prelaunch' ? 'paused (prelaunch)' : emu.status === 'running' || emu.status === 'paused' ? emu.status : `paused (${emu.status})`);

const MOST_MAPPINGS = 100_000;

const INFO: Readonly<Record<string, Command>> = {
  chardev: said('show the character devices', (emu) => emu.channels.map((c) => `${c.label}: filename=${c.filename}\n`).join('')),
  cpus: said('show infos for each CPU', (emu) => `* CPU #0: thread_id=${emu.thread}\n`),
  kvm: said('show KVM information', () => 'kvm support: enabled\n'),
  mem: {
    help: 'show the active virtual memory mappings',
    *run(emu) {
      const { sregs } = yield* registersOf(emu);
      return memText(yield* mappings(emu, sregs, MOST_MAPPINGS)) || 'PG disabled\n';
    },
  },
  name: said('show the current VM name', (emu) => (emu.options.name === '' ? '' : `${emu.options.name}\n`)),
  registers: {
    help: 'show the cpu registers (-a: show register info for all cpus; vcpu: specific vCPU to query; show the current CPU\'s registers if no argument is specified)',
    *run(emu) {
      return `\nCPU#0\n${yield* registerText(emu)}`;
    },
  },
  status: said('show the current VM status (running|paused)', (emu) => `VM status: ${statusWord(emu)}\n`),
  tlb: {
    help: 'show virtual to physical memory mappings',
    *run(emu) {
      const { sregs } = yield* registersOf(emu);
      return tlbText(yield* mappings(emu, sregs, MOST_MAPPINGS)) || 'PG disabled\n';
    },
  },
  uuid: said('show the current VM UUID', (emu) => `${emu.options.uuid || '00000000-0000-0000-0000-000000000000'}\n`),
  version: said('show the version of QEMU', () => `7.2.22${PACKAGE}\n`),
};

const COMMANDS: Readonly<Record<string, Command>> = {
  c: acts('resume emulation', cont),
  cont: acts('resume emulation', cont),
  info: {
    help: 'show various information about the system state',
    *run(emu, words) {
      const what = words[0];
      if (what === undefined) return Object.entries(INFO).map(([name, { help }]) => `info ${name}  -- ${help}\n`).join('');
      if (!Object.hasOwn(INFO, what)) return `unknown command: 'info ${what}'\n`;
      return yield* INFO[what]!.run(emu, words.slice(1));
    },
  },
  p: {
    help: 'print expression value (use $reg for CPU register access)',
    *run(emu, words) {
      const [format, expression] = words[0]?.startsWith('/') ? [words[0].slice(1), words[1]] : ['d', words[0]];
      const value = yield* evaluate(emu, expression ?? '');
      if (typeof value === 'string') return value;
      return `${format!.includes('x') ? `0x${value.toString(16)}` : BigInt.asIntN(64, value)}\n`;
    },
  },
  q: acts('quit the emulator', (emu) => requestShutdown(emu, 'host-qmp-quit')),
  quit: acts('quit the emulator', (emu) => requestShutdown(emu, 'host-qmp-quit')),
  stop: acts('stop emulation', (emu) => stop(emu, 'paused')),
  system_powerdown: acts('send system power down event', powerdown),
  system_reset: acts('reset the system', (emu) => requestReset(emu, 'host-qmp-system-reset')),
  x: memory('virtual memory dump starting at \'addr\'', false),
  xp: memory('physical memory dump starting at \'addr\'', true),
  help: {
    help: 'show the help',
    *run() {
      return Object.entries(COMMANDS).map(([name, { help }]) => `${name} -- ${help}\n`).join('');
    },
  },
};

function memory(help: string, physical: boolean): Command {
  return {
    help,
    *run(emu, words) {
      const format = words[0]?.startsWith('/') ? words[0].slice(1) : '';
      const address = yield* evaluate(emu, (words[0]?.startsWith('/') ? words[1] : words[0]) ?? '');
      if (typeof address === 'string') return address;
      const { sregs } = yield* registersOf(emu);
      return yield* dump(emu, format, sregs, address, physical);
    },
  };
}

/** A number or a register, sums and differences of them; a string is the complaint. */
function* evaluate(emu: Emulator, expression: string): Call<bigint | string> {
  const parts = expression.match(/[+-]|\$\w+|0x[0-9a-f]+|\d+/gi);
  if (!parts || parts.join('') !== expression) return expression === '' ? 'unexpected end of expression\n' : 'invalid char in expression\n';
  let regs: Regs | null = null;
  let total = 0n;
  let sign = 1n;
  for (const part of parts) {
    if (part === '+' || part === '-') {
      sign = part === '-' ? -1n : 1n;
      continue;
    }
    if (part.startsWith('$')) {
      const name = part === '$pc' ? 'rip' : part === '$sp' ? 'rsp' : part.slice(1);
      if (!(REGISTERS as readonly string[]).includes(name)) return 'unknown register\n';
      regs ??= (yield* registersOf(emu)).regs;
      total += sign * regs[name as keyof Regs];
    } else total += sign * BigInt(part);
    sign = 1n;
  }
  return BigInt.asUintN(64, total);
}

export function* powerdown(emu: Emulator): Call<void> {
  pressPower(emu.board);
  yield* updateLines(emu);
  yield* emu.emit('POWERDOWN');
}

/** What one line does and says. */
export function* monitorLine(emu: Emulator, line: string): Call<string> {
  const [name, ...words] = line.trim().split(/\s+/);
  if (!name) return '';
  if (!Object.hasOwn(COMMANDS, name)) return `unknown command: '${name}'\n`;
  return yield* COMMANDS[name]!.run(emu, words);
}

export const BANNER = "QEMU 7.2.22 monitor - type 'help' for more information\n";
export const PROMPT = '(qemu) ';
