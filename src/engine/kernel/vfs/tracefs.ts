/**
 * tracefs: the tracepoints as directories (id, format, enable), and the trace buffer: `trace` shows it, `trace_pipe` hands its
 * lines out once and waits for more, tracing_on stops it. Source: kernel doc trace/ftrace.rst, trace/events.rst.
 * Left out: tracers other than nop, filters, triggers, instances, buffers apart for each processor.
 */
import { bytes } from '../../sim/text.ts';
import { SysError } from '../abi.ts';
import type { Kernel } from '../records.ts';
import { formatText, type Hit, type Tracepoint, tracingOf } from '../tracing/points.ts';
import { fixed, type Node } from './pseudo.ts';

type Dir = Extract<Node, { kind: 'dir' }>;

const says = (text: string): Node => ({ kind: 'file', mode: 0o440, read: () => text });

/** "<...>-123 [001] ..... 12.345678: kvm_entry: …" */
function line({ point, time, task, cpu, values }: Hit, kernel: Kernel): string {
  const seconds = (time - kernel.bootedAt) / 1e9;
  return `${`${task.comm}-${task.pid}`.padStart(23)} [${String(cpu).padStart(3, '0')}] ..... ${seconds.toFixed(6).padStart(12)}: ${point.name}: ${point.text(values)}\n`;
}

function header(kernel: Kernel): string {
  const { hits, ever } = tracingOf(kernel).buffer;
  return `# tracer: nop
#
# entries-in-buffer/entries-written: ${hits.length}/${ever}   #P:${kernel.cpus}
#
#                                _-----=> irqs-off/BH-disabled
#                               / _----=> need-resched
#                              | / _---=> hardirq/softirq
#                              || / _--=> preempt-depth
#                              ||| / _-=> migrate-disable
#                              |||| /     delay
#           TASK-PID     CPU#  |||||  TIMESTAMP  FUNCTION
#              | |         |   |||||     |         |
`;
}

/** A switch over some points: 0, 1, or X when they differ. */
function enable(points: (kernel: Kernel) => readonly Tracepoint[]): Node {
  return {
    kind: 'file', mode: 0o640,
    read(kernel) {
      const on = points(kernel).filter(({ id }) => tracingOf(kernel).buffer.points.has(id)).length;
      return on === 0 ? '0\n' : on === points(kernel).length ? '1\n' : 'X\n';
    },
    write(kernel, _task, value) {
      const word = value.trim();
      if (word !== '0' && word !== '1') throw new SysError('EINVAL');
      for (const { id } of points(kernel)) {
        if (word === '1') tracingOf(kernel).buffer.points.add(id);
        else tracingOf(kernel).buffer.points.delete(id);
      }
    },
  };
}

const eventDir = (point: Tracepoint): Dir =>
  fixed({ enable: enable(() => [point]), format: says(formatText(point)), id: says(`${point.id}\n`) }, 0o750);

function systemDir(kernel: Kernel, system: string): Dir {
  const own = (k: Kernel): Tracepoint[] => tracingOf(k).points.filter((point) => point.system === system);
  return fixed({ enable: enable(own), ...Object.fromEntries(own(kernel).map((point) => [point.name, eventDir(point)])) }, 0o750);
}

const HEADER_PAGE = [['u64 timestamp', 0, 8, 0], ['local_t commit', 8, 8, 1], ['int overwrite', 8, 1, 1], ['char data', 16, 4080, 0]]
  .map(([name, offset, size, signed]) => `\tfield: ${name};\toffset:${offset};\tsize:${size};\tsigned:${signed};\n`).join('');
const HEADER_EVENT = '# compressed entry header\n\ttype_len    :    5 bits\n\ttime_delta  :   27 bits\n\tarray       :   32 bits\n\n\tpadding     : type == 29\n\ttime_extend : type == 30\n\ttime_stamp : type == 31\n\tdata max type_len  == 28\n';

function events(): Dir {
  return {
    kind: 'dir', mode: 0o750,
    list(kernel) {
      const systems = [...new Set(tracingOf(kernel).points.map(({ system }) => system))].sort();
      return [
        ['enable', enable((k) => tracingOf(k).points)], ['header_event', says(HEADER_EVENT)], ['header_page', says(HEADER_PAGE)],
        ...systems.map((system) => [system, systemDir(kernel, system)] as const),
      ];
    },
  };
}

const names = (kernel: Kernel, wanted: (point: Tracepoint) => boolean): string =>
  tracingOf(kernel).points.filter(wanted).map(({ system, name }) => `${system}:${name}\n`).join('');

/** "kvm:kvm_exit", "kvm:*", "kvm", "!kvm:kvm_entry"; an empty line turns all off. */
function setEvents(kernel: Kernel, value: string): void {
  const { points, buffer } = tracingOf(kernel);
  if (value.trim() === '') buffer.points.clear();
  for (const word of value.split(/\s+/).filter(Boolean)) {
    const off = word.startsWith('!');
    const [system, name = '*'] = word.replace('!', '').split(':');
    const meant = points.filter((p) => (word.includes(':') ? (system === '*' || p.system === system) && (name === '*' || name === '' || p.name === name) : p.system === system || p.name === system));
    if (meant.length === 0) throw new SysError('EINVAL');
    for (const { id } of meant) {
      if (off) buffer.points.delete(id);
      else buffer.points.add(id);
    }
  }
}

export function tracefsRoot(): Dir {
  return fixed({
    available_events: { kind: 'file', mode: 0o440, read: (kernel) => names(kernel, () => true) },
    available_tracers: says('nop\n'),
    current_tracer: says('nop\n'),
    events: events(),
    set_event: { kind: 'file', mode: 0o640, read: (kernel) => names(kernel, ({ id }) => tracingOf(kernel).buffer.points.has(id)), write: (kernel, _task, value) => setEvents(kernel, value) },
    trace: {
      kind: 'file', mode: 0o640,
      read: (kernel) => header(kernel) + tracingOf(kernel).buffer.hits.map((hit) => line(hit, kernel)).join(''),
      write(kernel) {
        tracingOf(kernel).buffer.hits.length = 0;
      },
    },
    trace_pipe: { kind: 'file', mode: 0o440, stream: { channel: 'trace_pipe', take: takeLine } },
    tracing_on: {
      kind: 'file', mode: 0o640,
      read: (kernel) => (tracingOf(kernel).buffer.on ? '1\n' : '0\n'),
      write(kernel, _task, value) {
        tracingOf(kernel).buffer.on = value.trim() !== '0';
      },
    },
  }, 0o700);
}

/** Lines that were not handed out yet, as many as fit; null: none. */
function takeLine(kernel: Kernel, count: number): Uint8Array | null {
  const { hits } = tracingOf(kernel).buffer;
  let out = '';
  while (hits.length > 0) {
    const next = line(hits[0]!, kernel);
    if (out.length + next.length > count) break;
    out += next;
    hits.shift();
  }
  return out === '' ? null : bytes(out);
}
