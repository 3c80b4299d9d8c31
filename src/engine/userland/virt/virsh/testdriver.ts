/**
 * test:///default: libvirt's driver for tests, which lives inside the client: one domain that is said to run and needs no
 * machine. The rules are those of libvirtd, on a host whose processes are imagined; they are gone when virsh ends.
 * Source: libvirt's test_driver.c, its default connection.
 */
import { createLibvirt, ended, type Host } from '../libvirt/domains.ts';
import { METHODS } from '../libvirt/methods.ts';
import { LibvirtError, parseDomain } from '../libvirt/xml.ts';
import type { Call } from '../../lib/http.ts';

const DOMAIN = `<domain type='kvm'>
  <name>test</name>
  <uuid>6695eb01-f6a4-8304-79aa-97f2502e193f</uuid>
  <memory unit='KiB'>8388608</memory>
  <currentMemory unit='KiB'>2097152</currentMemory>
  <vcpu placement='static'>2</vcpu>
  <os>
    <type arch='i686'>hvm</type>
  </os>
  <devices/>
</domain>`;

export function testDriver(hostname: string): (method: string, args: Readonly<Record<string, unknown>>) => Call<unknown> {
  const state = createLibvirt(hostname, 16, 3145728);
  const host: Host = {
    *launch() {
      return { pid: 0, pty: '' };
    },
    *kill() {},
    *monitor() {},
    *save() {},
    *remove() {},
    *rss() {
      return 0;
    },
    *cpuTime() {
      return 0;
    },
    *size() {
      return 0;
    },
    *knob() {
      return null;
    },
    *nodeStats() {
      throw new LibvirtError('this function is not supported by the connection driver: virNodeGetMemoryStats');
    },
    *qmp() {
      throw new LibvirtError('this function is not supported by the connection driver: virDomainQemuMonitorCommand');
    },
  };
  const domain = parseDomain(DOMAIN, () => '');
  state.domains.set('test', { domain, next: null, persistent: true, autostart: false, running: { id: state.nextId++, pid: 0, pty: '', paused: false }, reason: 'unknown' });
  return function* (method, args) {
    const kept = state.domains.get(String(args.domain ?? ''));
    const running = kept?.running && !kept.running.paused;
    if ((method === 'suspend' || method === 'shutdown') && !(running || (method === 'shutdown' && kept?.running))) throw new LibvirtError(`internal error: domain '${String(args.domain)}' not running`);
    if (method === 'resume' && !kept?.running?.paused) throw new LibvirtError(`internal error: domain '${String(args.domain)}' not paused`);
    if (method === 'shutdown' && args.mode !== '') throw new LibvirtError('unsupported flags (0x1) in function testDomainShutdownFlags');
    if (method === 'start' && args.paused === true) throw new LibvirtError('unsupported flags (0x1) in function testDomainCreateWithFlags');
    if (method === 'shutdown') return yield* ended(state, host, kept!, 'shutdown');
    const answer = yield* METHODS[method]!(state, host, args);
    if (method === 'reboot') kept!.reason = 'booted';
    return answer ?? {};
  };
}
