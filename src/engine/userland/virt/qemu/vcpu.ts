/**
 * The vCPU's thread: KVM_RUN for ever, and the exits that come back from it answered with the board's devices. While the
 * machine is stopped it waits on a pipe that the main loop writes to. Source: QEMU's kvm_cpu_exec.
 */
import {
  KVM_EXIT_DEBUG, KVM_EXIT_FAIL_ENTRY, KVM_EXIT_INTERNAL_ERROR, KVM_EXIT_IO, KVM_EXIT_MMIO, KVM_EXIT_SHUTDOWN, KVM_RUN, type RunResult,
} from '../../../kernel/drivers/kvm/uapi.ts';
import { type Body, sys } from '../../../kernel/sys.ts';
import { readPort, writePort } from '../../../machine/devices/board.ts';
import { nowNs } from '../../lib/clock.ts';
import type { Call } from '../../lib/http.ts';
import { complain } from '../../lib/io.ts';
import { drainSerial, type Emulator, feedSerial, interrupted, leave, requestReset, requestShutdown, reset, stop, updateLines } from './emulator.ts';
import { told } from './gdbstub.ts';
import { MODULES } from './options.ts';
import { registerText } from './registers.ts';

/** The data port of the real-time clock, the only one here that needs to know the time of day. */
const CLOCK = 0x71;
const NONE = new Uint8Array(0);

export function* vcpuThread(emu: Emulator): Body {
  let data: number | bigint | undefined;
  for (;;) {
    if (emu.resetting) {
      yield* reset(emu);
      data = undefined;
    }
    if (emu.status !== 'running') {
      emu.waiting = true;
      yield* sys('read', emu.go[0], 1);
      continue;
    }
    let run: RunResult;
    try {
      run = (yield* sys('ioctl', emu.vcpu, KVM_RUN, data === undefined ? {} : { data })) as RunResult;
    } catch (error) {
      if (!interrupted(error)) throw error;
      continue;
    }
    data = yield* onExit(emu, run);
  }
}

/** Answers one exit; the value of an `in` or a load. */
function* onExit(emu: Emulator, run: RunResult): Call<number | bigint | undefined> {
  switch (run.exitReason) {
    case KVM_EXIT_IO: return run.direction === 'in' ? yield* portIn(emu, run.port, run.size) : yield* portOut(emu, run.port, run.size, run.data);
    case KVM_EXIT_MMIO: return run.isWrite ? undefined : NOTHING;
    case KVM_EXIT_DEBUG:
      emu.status = 'paused';
      yield* emu.emit('STOP');
      if (emu.gdb) yield* told(emu.gdb, run.stop);
      return undefined;
    case KVM_EXIT_SHUTDOWN:
      if (emu.options.accel === 'bare') {
        yield* complain(`bare: triple fault\n${yield* registerText(emu)}`);
        yield* leave(emu, 1);
      }
      yield* requestReset(emu, 'guest-reset');
      return undefined;
    case KVM_EXIT_FAIL_ENTRY:
      yield* complain(`KVM: entry failed, hardware error 0x${run.hardwareEntryFailureReason.toString(16)}\n`);
      yield* complain(yield* registerText(emu));
      yield* stop(emu, 'internal-error');
      return undefined;
    case KVM_EXIT_INTERNAL_ERROR:
      yield* complain(`${MODULES[emu.options.accel]} internal error. Suberror: ${run.suberror}\n${run.text}\n`);
      yield* complain(yield* registerText(emu));
      yield* stop(emu, 'internal-error');
      return undefined;
  }
}

/** No device of this board is in memory, and QEMU's memory map reads as zeros where nothing is. */
const NOTHING = 0n;

function* portIn(emu: Emulator, port: number, size: number): Call<number> {
  const value = readPort(emu.board, port, size, port === CLOCK ? yield* nowNs() : 0);
  yield* updateLines(emu);
  if (emu.backlog.length > 0) yield* feedSerial(emu, NONE);
  return value;
}

function* portOut(emu: Emulator, port: number, size: number, value: number): Call<undefined> {
  const { board } = emu;
  writePort(board, port, size, value, 0);
  yield* drainSerial(emu);
  yield* updateLines(emu);
  if (emu.backlog.length > 0) yield* feedSerial(emu, NONE);
  const { ended } = board;
  board.ended = null;
  if (ended?.how === 'debug-exit') yield* leave(emu, ended.status);
  if (ended?.how === 'power-off') yield* requestShutdown(emu, 'guest-shutdown');
  if (ended?.how === 'reset') yield* requestReset(emu, 'guest-reset');
  return undefined;
}
