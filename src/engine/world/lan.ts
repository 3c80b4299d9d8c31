/**
 * The wire between machines: one Ethernet-like network on which each modelled kernel has an address and where services
 * that no kernel runs (the Kubernetes API server) answer too. A connection is a pair of ends; bytes cross it after a
 * fixed latency, in order. Left out: loss, bandwidth, and packets (kernels forward packets inside, not across, machines).
 */
import { accept, connected, deliver } from '../kernel/kernel.ts';
import type { Kernel, Uplink } from '../kernel/records.ts';
import { after, handle, type Timeline } from '../sim/timeline.ts';
import { US } from '../sim/units.ts';

export const LAN_LATENCY = 100 * US;

/** Something at an address that is not a modelled kernel. Bytes in, bytes out. */
export interface RemoteService {
  open(conn: number): void;
  data(conn: number, bytes: Uint8Array): void;
  close(conn: number): void;
}

/** One end of a connection: a kernel's, by the kernel's own number, or a service's. */
type End = { kernel: string; conn: number } | { service: string; conn: number };

interface Connection {
  id: number;
  from: End;
  to: End;
  open: boolean;
}

export interface Lan {
  timeline: Timeline;
  /** IPv4 address to kernel name. */
  hosts: Map<string, string>;
  kernels: Map<string, Kernel>;
  /** "address:port" to service. */
  services: Map<string, RemoteService>;
  /** By "kernel/conn" of either end. */
  byEnd: Map<string, Connection>;
  byService: Map<number, Connection>;
  nextId: number;
}

const key = (kernel: string, conn: number): string => `${kernel}/${conn}`;

export function createLan(timeline: Timeline, kernels: Map<string, Kernel>): Lan {
  const lan: Lan = {
    timeline, hosts: new Map(), kernels, services: new Map(), byEnd: new Map(), byService: new Map(), nextId: 1,
  };
  handle(timeline, 'lan.data', (event) => {
    const { to, data } = event.arg as { to: End; data: Uint8Array | null };
    arrive(lan, to, data);
  });
  handle(timeline, 'lan.open', (event) => {
    const { from, address, port } = event.arg as {
      from: { kernel: string; conn: number; address: string; port: number };
      address: string;
      port: number;
    };
    open(lan, from, address, port);
  });
  return lan;
}

/** How packets leave `kernel`. */
export function uplinkOf(lan: Lan): Uplink {
  return {
    connect(from, to) {
      const known = lan.hosts.has(to.address) || lan.services.has(`${to.address}:${to.port}`);
      if (!known) return [...lan.services.keys()].some((k) => k.startsWith(`${to.address}:`)) ? 'refused' : 'unreachable';
      after(lan.timeline, LAN_LATENCY, { kind: 'lan.open', who: from.kernel, arg: { from, address: to.address, port: to.port } });
      return 'ok';
    },
    send(from, data) {
      const connection = lan.byEnd.get(key(from.kernel, from.conn));
      if (connection?.open) transmit(lan, other(connection, from), data);
    },
    close(from) {
      const connection = lan.byEnd.get(key(from.kernel, from.conn));
      if (!connection?.open) return;
      hangUp(lan, connection);
      transmit(lan, other(connection, from), null);
    },
  };
}

/** A service writes to one of its connections. */
export function serviceSend(lan: Lan, conn: number, data: Uint8Array): void {
  const connection = lan.byService.get(conn);
  if (connection?.open) transmit(lan, connection.from, data);
}

/** A service ends one of its connections. */
export function serviceHangUp(lan: Lan, conn: number): void {
  const connection = lan.byService.get(conn);
  if (!connection?.open) return;
  hangUp(lan, connection);
  transmit(lan, connection.from, null);
}

function open(lan: Lan, from: { kernel: string; conn: number; address: string; port: number }, address: string, port: number): void {
  const id = lan.nextId++;
  const caller = lan.kernels.get(from.kernel)!;
  const near: End = { kernel: from.kernel, conn: from.conn };
  const service = lan.services.get(`${address}:${port}`);
  if (service) {
    const connection: Connection = { id, from: near, to: { service: `${address}:${port}`, conn: id }, open: true };
    lan.byEnd.set(key(from.kernel, from.conn), connection);
    lan.byService.set(id, connection);
    connected(caller, from.conn, true);
    service.open(id);
    return;
  }
  const name = lan.hosts.get(address)!;
  const conn = accept(lan.kernels.get(name)!, { address: from.address, port: from.port }, port);
  if (conn === null) {
    connected(caller, from.conn, false);
    return;
  }
  const connection: Connection = { id, from: near, to: { kernel: name, conn }, open: true };
  lan.byEnd.set(key(from.kernel, from.conn), connection);
  lan.byEnd.set(key(name, conn), connection);
  connected(caller, from.conn, true);
}

function other(connection: Connection, from: { kernel: string; conn: number }): End {
  const first = connection.from;
  return 'kernel' in first && first.kernel === from.kernel && first.conn === from.conn ? connection.to : connection.from;
}

function transmit(lan: Lan, to: End, data: Uint8Array | null): void {
  after(lan.timeline, LAN_LATENCY, { kind: 'lan.data', who: 'kernel' in to ? to.kernel : to.service, arg: { to, data } });
}

function arrive(lan: Lan, to: End, data: Uint8Array | null): void {
  if ('kernel' in to) {
    deliver(lan.kernels.get(to.kernel)!, to.conn, data);
    return;
  }
  const service = lan.services.get(to.service)!;
  if (data) service.data(to.conn, data);
  else service.close(to.conn);
}

function hangUp(lan: Lan, connection: Connection): void {
  connection.open = false;
  for (const end of [connection.from, connection.to]) {
    if ('kernel' in end) lan.byEnd.delete(key(end.kernel, end.conn));
    else lan.byService.delete(end.conn);
  }
}
