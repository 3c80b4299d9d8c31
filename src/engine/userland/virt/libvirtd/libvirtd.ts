/**
 * libvirtd: reads the defined domains, takes up those that still run, starts those marked for it, then answers calls for
 * ever. The rules are libvirt/domains.ts; the machine is host.ts.
 */
import type { Program } from '../../../kernel/sys.ts';
import { sys } from '../../../kernel/sys.ts';
import { exists, list, mkdirAll, tryRead } from '../../lib/files.ts';
import { type Call, listen, serveOn } from '../../lib/http.ts';
import { command, complain } from '../../lib/io.ts';
import { notifyReady } from '../../lib/notify.ts';
import { CONFIG, createLibvirt, ended, type Kept, type Libvirt, parseStatus, STATE, uuidOf } from '../libvirt/domains.ts';
import { METHODS } from '../libvirt/methods.ts';
import { LibvirtError, parseDomain } from '../libvirt/xml.ts';
import { createHost } from './host.ts';
import { serveCalls, SOCKET } from './rpc.ts';

export const libvirtd: Program = command(function* (argv, env) {
  if (argv.includes('--version') || argv.includes('-V')) {
    yield* complain('/usr/sbin/libvirtd (libvirt) 9.0.0\n');
    return 0;
  }
  const { nodename } = yield* sys('uname');
  const { totalram } = yield* sys('sysinfo');
  const cpus = ((yield* tryRead('/proc/cpuinfo')) ?? '').match(/^processor\s*:/gm)?.length ?? 1;
  const state = createLibvirt(nodename, cpus, Math.floor(totalram / 1024));
  const host = createHost(state);
  yield* mkdirAll('/run/libvirt/qemu', 0o755);
  const listening = yield* listen({ family: 'unix', path: SOCKET }, 0o770);
  yield* readDefined(state);
  yield* readRunning(state, host);
  yield* autostart(state, host);
  yield* notifyReady(env);
  return yield* serveOn(
    listening,
    serveCalls(function* (method, args) {
      if (!Object.hasOwn(METHODS, method)) throw new LibvirtError(`unknown procedure: ${method}`);
      return yield* METHODS[method]!(state, host, args);
    }),
  );
});

function* readDefined(state: Libvirt): Call<void> {
  for (const { name, type } of yield* list(CONFIG)) {
    if (type !== 'file' || !name.endsWith('.xml')) continue;
    const source = yield* tryRead(`${CONFIG}/${name}`);
    if (source === null) continue;
    try {
      const domain = parseDomain(source, (n) => uuidOf(state, n));
      const marked = yield* exists(`${CONFIG}/autostart/${name}`);
      state.domains.set(domain.name, { domain, next: null, persistent: true, autostart: marked, running: null, reason: 'unknown' });
    } catch (error) {
      if (!(error instanceof LibvirtError)) throw error;
      yield* complain(`libvirtd: ${CONFIG}/${name}: ${error.message}\n`);
    }
  }
}

function* readRunning(state: Libvirt, host: ReturnType<typeof createHost>): Call<void> {
  for (const { name } of yield* list(STATE)) {
    if (!name.endsWith('.xml')) continue;
    const status = parseStatus((yield* tryRead(`${STATE}/${name}`)) ?? '');
    if (!status) continue;
    const domain = parseDomain(status.domain, (n) => uuidOf(state, n));
    const kept: Kept = state.domains.get(domain.name) ?? { domain, next: null, persistent: false, autostart: false, running: null, reason: 'unknown' };
    kept.running = status.running;
    kept.reason = status.reason;
    state.domains.set(domain.name, kept);
    state.nextId = Math.max(state.nextId, status.running.id + 1);
    if (!(yield* host.adopt(kept))) yield* ended(state, host, kept, 'crashed');
  }
}

function* autostart(state: Libvirt, host: ReturnType<typeof createHost>): Call<void> {
  for (const kept of [...state.domains.values()]) {
    if (!kept.autostart || kept.running) continue;
    try {
      yield* METHODS.start!(state, host, { domain: kept.domain.name });
    } catch (error) {
      if (!(error instanceof LibvirtError)) throw error;
      yield* complain(`libvirtd: internal error: Failed to autostart VM '${kept.domain.name}': ${error.message}\n`);
    }
  }
}

