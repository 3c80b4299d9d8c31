/**
 * The machine protocol: JSON objects over a socket, commands answered in order, events in between. A client must first leave
 * capabilities negotiation. Source: QEMU docs/interop/qmp-spec.txt. Left out: out-of-band execution, schema queries.
 */
import { sys } from '../../../kernel/sys.ts';
import { bytes, text } from '../../../sim/text.ts';
import { attempt } from '../../lib/files.ts';
import { type Call, writeAll } from '../../lib/http.ts';
import { cont, type Emulator, requestReset, requestShutdown, stop } from './emulator.ts';
import { monitorLine, powerdown } from './hmp.ts';
import { PACKAGE } from './options.ts';

export interface QmpClient {
  fd: number;
  held: string;
  /** Has left negotiation. */
  ready: boolean;
}

const VERSION = { qemu: { micro: 22, minor: 2, major: 7 }, package: PACKAGE };

export function* greet(client: QmpClient): Call<void> {
  yield* put(client, { QMP: { version: VERSION, capabilities: [] } });
}

function* put(client: QmpClient, message: unknown): Call<void> {
  yield* attempt(writeAll(client.fd, bytes(`${JSON.stringify(message)}\r\n`)), undefined);
}

export function* emitTo(clients: readonly QmpClient[], event: string, data?: Record<string, unknown>): Call<void> {
  const ready = clients.filter((client) => client.ready);
  if (ready.length === 0) return;
  const ns = yield* sys('clock_gettime', 'realtime');
  const timestamp = { seconds: Math.floor(ns / 1e9), microseconds: Math.floor((ns % 1e9) / 1000) };
  for (const client of ready) yield* put(client, data ? { timestamp, event, data } : { timestamp, event });
}

type Arguments = Readonly<Record<string, unknown>>;
type Command = (emu: Emulator, args: Arguments) => Call<unknown>;

function acts(act: (emu: Emulator) => Call<void>): Command {
  return function* (emu) {
    yield* act(emu);
    return {};
  };
}

const COMMANDS: Readonly<Record<string, Command>> = {
  'query-status': function* (emu) {
    return { status: emu.status, singlestep: false, running: emu.status === 'running' };
  },
  'query-version': function* () {
    return VERSION;
  },
  'query-name': function* (emu) {
    return emu.options.name === '' ? {} : { name: emu.options.name };
  },
  'query-uuid': function* (emu) {
    return { UUID: emu.options.uuid || '00000000-0000-0000-0000-000000000000' };
  },
  'query-kvm': function* () {
    return { enabled: true, present: true };
  },
  'query-chardev': function* (emu) {
    return emu.channels.map(({ label, filename }) => ({ 'frontend-open': true, filename, label }));
  },
  'query-cpus-fast': function* (emu) {
    return [{ 'thread-id': emu.thread, props: { 'core-id': 0, 'thread-id': 0, 'socket-id': 0 }, 'qom-path': '/machine/unattached/device[0]', 'cpu-index': 0, target: 'x86_64' }];
  },
  'query-memory-size-summary': function* (emu) {
    return { 'base-memory': emu.options.memory, 'plugged-memory': 0 };
  },
  'query-commands': function* () {
    return Object.keys(COMMANDS).sort().map((name) => ({ name }));
  },
  stop: acts((emu) => stop(emu, 'paused')),
  cont: acts(cont),
  system_reset: acts((emu) => requestReset(emu, 'host-qmp-system-reset')),
  system_powerdown: acts(powerdown),
  'human-monitor-command': function* (emu, args) {
    return (yield* monitorLine(emu, String(args['command-line'] ?? ''))).replace(/\n/g, '\r\n');
  },
};

/** What a client has sent: whole lines are commands. `close` says that the client is gone. */
export function* receiveQmp(emu: Emulator, client: QmpClient, data: Uint8Array): Call<void> {
  client.held += text(data);
  for (;;) {
    const end = client.held.indexOf('\n');
    if (end < 0) return;
    const line = client.held.slice(0, end).trim();
    client.held = client.held.slice(end + 1);
    if (line !== '') yield* onCommand(emu, client, line);
  }
}

interface Message {
  execute?: unknown;
  arguments?: Arguments;
  id?: unknown;
}

function* onCommand(emu: Emulator, client: QmpClient, line: string): Call<void> {
  let message: Message | null = null;
  try {
    message = JSON.parse(line) as Message;
  } catch {
    // not JSON: answered below
  }
  const fail = (kind: string, desc: string): Call<void> => put(client, { ...(message?.id === undefined ? {} : { id: message.id }), error: { class: kind, desc } });
  if (message === null) return yield* fail('GenericError', 'JSON parse error, invalid keyword');
  if (typeof message !== 'object' || Array.isArray(message)) return yield* fail('GenericError', 'QMP input must be a JSON object');
  const name = message.execute;
  if (typeof name !== 'string') return yield* fail('GenericError', "QMP input lacks member 'execute'");
  const done = (value: unknown): Call<void> => put(client, { return: value, ...(message?.id === undefined ? {} : { id: message.id }) });
  if (name === 'qmp_capabilities' && !client.ready) {
    client.ready = true;
    return yield* done({});
  }
  if (!client.ready) return yield* fail('CommandNotFound', "Expecting capabilities negotiation with 'qmp_capabilities'");
  if (name === 'quit') {
    yield* done({});
    return yield* requestShutdown(emu, 'host-qmp-quit');
  }
  if (name === 'balloon' || name === 'query-balloon') return yield* fail('DeviceNotActive', 'No balloon device has been activated');
  if (!Object.hasOwn(COMMANDS, name)) return yield* fail('CommandNotFound', `The command ${name} has not been found`);
  yield* done(yield* COMMANDS[name]!(emu, message.arguments ?? {}));
}
