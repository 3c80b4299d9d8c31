/** The inspector of the network: a namespace with its routes and sockets, a device, a packet at one step of its road. */
import { Fragment } from 'react';
import type { NetworkRow, PacketRow, ProcessRow } from '../../../bridge/rows.ts';
import { useRows } from '../../bridge/client.ts';
import { Gone, Panel, Part } from '../../frame/inspected.tsx';
import { Why } from '../../frame/why.tsx';
import { count } from '../../format.ts';
import { OutcomeMark, RoleMark } from '../../parts/marks.tsx';
import { Facts, Runnable } from '../../parts/parts.tsx';
import { select } from '../../store.ts';
import { HOST } from './names.ts';
import { changed, ends, hookName, roadsOf, told } from './road.ts';
import css from './containers.module.css';

/** How to type a command inside a network namespace: from a process of it. */
function useInside(ns: number): string {
  const processes = useRows<ProcessRow>('processes', { host: HOST });
  const own = processes.filter((one) => one.exit === null && one.netns === ns).sort((a, b) => a.pid - b.pid)[0];
  return own === undefined || own.pid === 1 ? '' : `nsenter -t ${own.pid} -n `;
}

export function Namespace({ id }: { id: string }) {
  const rows = useRows<NetworkRow>('network', { host: HOST }).filter((one) => String(one.ns) === id);
  const inside = useInside(Number(id));
  const head = rows.find((one) => one.kind === 'namespace');
  if (!head) return <Gone what="Network namespace" />;
  const of = (kind: NetworkRow['kind']): NetworkRow[] => rows.filter((one) => one.kind === kind);
  return (
    <Panel title={<><RoleMark place={head.nsName === 'host' ? 'host-kernel' : 'container'} /> {head.nsName}</>} sub={`net:[${id}]`} line={`${inside}ip addr`}>
      <Part title="Devices"><ol className={css.lastCalls}>{of('device').map((one) => <li key={one.key}><button type="button" className={css.link} onClick={() => select({ kind: 'device', id: `${one.ns}/${one.name}` })}>{one.name}</button> <code>{one.address || one.dev}</code></li>)}</ol></Part>
      <Part title="Routes"><List rows={of('route')} text={(one) => `${one.name}${one.address ? ` via ${one.address}` : ''} dev ${one.dev}`} /><Runnable line={`${inside}ip route`} /></Part>
      <Part title="Neighbours"><List rows={of('neighbour')} text={(one) => `${one.name} is at ${one.address || '?'} ${one.state}`} /></Part>
      <Part title="Who listens"><List rows={of('socket')} text={(one) => `${one.name} ${one.detail.replace(/ socket \d+$/, '')}`} /><Runnable line={`${inside}ss -lntup`} /></Part>
      {of('published').length > 0 ? <Part title="Published ports"><List rows={of('published')} text={(one) => `${one.name} → ${one.address}, ${one.detail}, ${count(one.rx)} packets`} /><Runnable line={`${inside}iptables -t nat -L -n -v`} /></Part> : null}
      <Part><p className={css.aside}>{head.detail}</p></Part>
    </Panel>
  );
}

const List = ({ rows, text }: { rows: NetworkRow[]; text: (row: NetworkRow) => string }) => (rows.length === 0 ? <p className={css.aside}>none</p> : <ol className={css.lastCalls}>{rows.slice(0, 40).map((one) => <li key={one.key}><code>{text(one)}</code></li>)}</ol>);

export function Device({ id }: { id: string }) {
  const slash = id.indexOf('/');
  const ns = Number(id.slice(0, slash));
  const rows = useRows<NetworkRow>('network', { host: HOST });
  const row = rows.find((one) => one.kind === 'device' && one.ns === ns && one.name === id.slice(slash + 1));
  const inside = useInside(ns);
  if (!row) return <Gone what="Device" />;
  const other = rows.find((one) => one.kind === 'device' && one.ns === row.peerNs && one.name === row.peer);
  const ports = row.dev === 'bridge' ? rows.filter((one) => one.kind === 'device' && one.ns === ns && one.master === row.name) : [];
  const go = (one: NetworkRow): React.ReactNode => <button type="button" className={css.link} onClick={() => select({ kind: 'device', id: `${one.ns}/${one.name}` })}>{one.name}</button>;
  return (
    <Panel title={<><RoleMark place={row.nsName === 'host' ? 'host-kernel' : 'container'} /> {row.name}</>} sub={`${row.dev} of ${row.nsName}`} line={`${inside}ip -s -d link show dev ${row.name}`}>
      <Part><Facts facts={[
        ['state', `${row.state}${row.up ? '' : ', set down'}`], ['addresses', row.address.split(' ').map((one) => <Fragment key={one}>{one}<br /></Fragment>)], ['MAC', row.mac], ['MTU', row.mtu], ['port of', row.master], ['other end', other ? <>{go(other)} in {other.nsName}</> : row.peer || null],
        ['ports', ports.length === 0 ? null : ports.map((one) => <Fragment key={one.key}>{go(one)} </Fragment>)], ['received', `${count(row.rx)} packets`], ['sent', `${count(row.tx)} packets`], ['dropped', count(row.dropped)], ['detail', row.detail],
      ]} /></Part>
      <Part title="Listen on it"><Runnable line={`${inside}tcpdump -nei ${row.name} -c 6`} />{row.dev === 'bridge' ? <Runnable line={`bridge fdb show br ${row.name}`} /> : null}</Part>
    </Panel>
  );
}

export function Packet({ id }: { id: string }) {
  const [packet, n] = id.split('@') as [string, string | undefined];
  const road = roadsOf(useRows<PacketRow>('packets', { packet }))[0];
  const step = road?.steps[n === undefined ? (road.dropped ? road.steps.indexOf(road.dropped) : 0) : Number(n)];
  const inside = useInside(step?.ns ?? 0);
  if (!road || !step) return <Gone what="Packet" />;
  const before = road.steps[road.steps.indexOf(step) - 1];
  const [, table, chain] = /^(nat|filter|mangle|raw) (\S+)/.exec(step.rule) ?? [];
  return (
    <Panel title={<>{road.dropped ? <OutcomeMark outcome="killed" size={13} /> : <RoleMark place="hardware" />} {step.proto} {step.text.replace(/ ?\d+ > \d+/, '')}</>} sub={packet} line={table ? `${inside}iptables -t ${table} -L ${chain} -n -v --line-numbers` : `${inside}${step.hook === 'route' ? `ip route get ${step.dst}` : step.hook === 'arp' ? 'ip neigh' : step.hook === 'bridge' ? 'bridge fdb show' : 'ip -s link'}`}>
      {road.dropped ? <Why kind="packet" id={packet} title="Why was it dropped?" /> : null}
      <Part title={`${hookName(step.hook)} ${step.action}`} sub={`${step.nsName}${step.dev ? `, ${step.dev}` : ''}`}><p>{told(step)}</p>{changed(step, before) ? <p className={css.aside}>{changed(step, before)}</p> : null}</Part>
      <Part title="The packet here"><Facts facts={[['from', step.src], ['to', step.dst], ['ports', step.proto === 'tcp' || step.proto === 'udp' ? `${step.sport} to ${step.dport}` : null], ['flags', step.flags], ['ttl', step.ttl], ['length', `${step.length} bytes`], ['frame from', step.from], ['frame to', step.to], ['flow', ends(step)], ['rule', step.rule]]} /></Part>
      {road.dropped ? null : <Why kind="packet" id={packet} title="The road behind it" />}
    </Panel>
  );
}
