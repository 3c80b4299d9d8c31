/** One leave, one kind of event, one field of the VMCS: their bits, where the cycles went, what decided it, the command that shows the same. */
import { useState } from 'react';
import type { CostRow, ExitCauseRow, LaneRow, LedgerEventRow, LeaveRow, VmcsBitRow, VmcsRow } from '../../../bridge/rows.ts';
import { useRows } from '../../bridge/client.ts';
import { Gone, Panel, Part } from '../../frame/inspected.tsx';
import inspector from '../../frame/inspector.module.css';
import { big, count } from '../../format.ts';
import { Chip, OutcomeMark, RoleMark } from '../../parts/marks.tsx';
import { Address, Facts } from '../../parts/parts.tsx';
import type { Selection } from '../../store.ts';
import type { Field } from '../entries.ts';
import { qualificationFields } from '../qualification.ts';
import { isCallout, isMissed, shortly, wordsOf } from './lanes.ts';

export default function OfLane({ selection }: { selection: Selection }) {
  const [host = '', id = '', ...rest] = selection.id.split(':');
  const lane = useRows<LaneRow>('lanes').find((one) => one.host === host && String(one.id) === id);
  if (!lane) return <Gone what="Machine" />;
  if (selection.kind === 'leave') return <Leave lane={lane} id={selection.id} />;
  if (selection.kind === 'event') return <Event lane={lane} id={selection.id} />;
  return <VmcsField lane={lane} name={rest.join(':')} />;
}

/** What shows the same figures in a terminal: perf for KVM's machines. */
const commandFor = (lane: LaneRow): string => (lane.technique.startsWith('vmx') ? (lane.state === 'ended' ? `perf kvm stat record -a sleep 2; perf kvm stat report` : `perf kvm stat record -a sleep 1; perf kvm stat report`) : '');

function Leave({ lane, id }: { lane: LaneRow; id: string }) {
  const row = useRows<LeaveRow>('leaves', { host: lane.host, id: lane.id }).find((one) => one.key === id);
  const costs = useRows<CostRow>('costs', { profile: lane.profile });
  const causes = useRows<ExitCauseRow>('exit-causes', row ? { host: lane.host, id: lane.id, name: row.event } : null);
  if (!row) return <Gone what="The guest was left" />;
  const vmx = lane.technique.startsWith('vmx');
  const raw = vmx ? /0x[0-9a-f]+/.exec(row.detail.split('; ').at(-1) ?? '')?.[0] : undefined;
  const fields = raw ? qualificationFields(row.event, big(raw)) : [];
  const set = causes.filter((one) => one.on);
  return (
    <Panel title={<>{isMissed(row.event) ? <OutcomeMark outcome="killed" size={13} /> : <RoleMark place={isCallout(row.event) ? 'hypervisor' : 'trap'} />} {row.event}</>} sub={wordsOf(lane.technique).short} line={commandFor(lane)}>
      <Part>
        <Chip place={row.ring === 3 ? 'guest-user' : 'guest-kernel'}>{row.ring === 3 ? 'guest user' : `guest kernel, ring ${row.ring}`}</Chip>{isMissed(row.event) ? ' stayed: sensitive, but not privileged' : <> <span aria-hidden="true" style={{ color: 'var(--trap)' }}>→</span> <Chip place="hypervisor">{vmx ? 'VMX root' : 'hypervisor'}</Chip></>}
        <div className={inspector.raw} style={{ fontSize: 'var(--text-3)' }}>{row.text || 'no code mapped there'}</div>
        <Facts facts={[['at', <Address key="rip" value={row.rip} space="gva" />], ['bytes', row.bytes], ['number', row.n < 0 ? null : `${count(row.n + 1)} of ${count(lane.events)}`], ['particulars', shortly(row.detail)], ['machine', `${lane.vm}, ${wordsOf(lane.technique).name}`]]} />
      </Part>
      {raw ? <Part title="Exit qualification" sub="VMCS 6400"><Qualification value={big(raw)} fields={fields} /></Part> : null}
      {row.cycles > 0 ? <Part title={`Where ${count(row.cycles)} cycles went`} sub={`costs of ${lane.profile}`}><Cycles row={row} vmx={vmx} round={costs.find((one) => one.name === 'round')?.cycles ?? 0} /></Part> : null}
      {causes.length > 0 ? (
        <Part title="What decided it" sub={lane.state === 'ended' ? 'as the VMCS stood at the end' : 'as the VMCS stands'}>
          {set.length === 0 ? <p className={inspector.quiet}>None of the bits that can cause it is set now: it follows from masks, the CR3-target list or the state at that moment.</p> : null}
          <table className={inspector.fields}><tbody>{causes.map((one) => <tr key={one.key} className={one.on ? '' : inspector.zero}><td>{one.encoding.slice(2)}</td><td>{one.field === '' ? '' : one.bit}</td><td style={{ whiteSpace: 'normal', fontFamily: 'var(--font-text)' }}><b>{one.name}</b></td><td>{one.on ? '1' : '0'}</td></tr>)}</tbody></table>
        </Part>
      ) : null}
    </Panel>
  );
}

function Cycles({ row, vmx, round }: { row: LeaveRow; vmx: boolean; round: number }) {
  const monitor = row.cycles - row.program;
  const hardware = vmx ? Math.min(round, monitor) : 0;
  const parts = ([['exit and entry, hardware', hardware, 'trap'], [vmx ? 'handler in the hypervisor' : 'hypervisor, with the crossing', monitor - hardware, 'hypervisor'], ['to a program of the host and back', row.program, 'host-kernel']] as const).filter(([, cycles]) => cycles > 0);
  let before = 0;
  return (
    <table className={inspector.fields}><tbody>{parts.map(([name, cycles, role]) => {
      const left = (before / row.cycles) * 100;
      before += cycles;
      return <tr key={name}><td style={{ fontFamily: 'var(--font-text)', whiteSpace: 'normal' }}><RoleMark place={role} /> {name}</td><td style={{ width: '34%' }}><span style={{ display: 'block', height: 8, marginTop: 5, background: 'var(--sunken)' }}><i style={{ display: 'block', height: 8, marginLeft: `${left}%`, width: `${(cycles / row.cycles) * 100}%`, background: `var(--${role})` }} /></span></td><td style={{ textAlign: 'right' }}><b>{count(cycles)}</b></td></tr>;
    })}</tbody></table>
  );
}

function Qualification({ value, fields }: { value: bigint; fields: Field[] }) {
  const [lit, light] = useState<Field | null>(null);
  return (
    <>
      <div className={inspector.raw}>0x{value.toString(16).padStart(8, '0')}</div>
      {fields.length === 0 ? null : (
        <>
          <Halves value={value} fields={fields} lit={lit} onLight={light} />
          <table className={inspector.fields}><tbody>{fields.map((field) => (
            <tr key={field.name} className={`${field.zero ? inspector.zero : ''} ${lit === field ? inspector.lit : ''}`} onMouseEnter={() => light(field)} onMouseLeave={() => light(null)}><td>{field.hi === field.lo ? field.hi : `${field.hi}:${field.lo}`}</td><td><b>{field.name}</b></td><td>{field.value}</td><td>{field.means}</td></tr>
          ))}</tbody></table>
        </>
      )}
    </>
  );
}
/** The low 32 bits, two rows of sixteen; the table below says the same. */
function Halves({ value, fields, lit, onLight }: { value: bigint; fields: Field[]; lit: Field | null; onLight: (field: Field | null) => void }) {
  return (
    <div className={inspector.bits} aria-hidden="true">{[31, 15].flatMap((top) => [
      <i key={`t${top}`}>{top}</i>,
      ...Array.from({ length: 16 }, (_, i) => top - i).map((bit) => {
        const field = fields.find((one) => bit <= one.hi && bit >= one.lo) ?? null;
        const on = ((value >> BigInt(bit)) & 1n) === 1n;
        // biome-ignore lint/a11y/noStaticElementInteractions: a light for the pointer; the table below says the same
        return <span key={bit} className={`${on ? inspector.one : ''} ${lit && lit === field ? inspector.litBit : ''}`} onMouseEnter={() => onLight(field)} onMouseLeave={() => onLight(null)}>{on ? 1 : 0}</span>;
      }),
      <i key={`b${top}`}>{top - 15}</i>,
    ])}</div>
  );
}

function Event({ lane, id }: { lane: LaneRow; id: string }) {
  const row = useRows<LedgerEventRow>('ledger-events', { host: lane.host, id: lane.id }).find((one) => one.key === id);
  const causes = useRows<ExitCauseRow>('exit-causes', row ? { host: lane.host, id: lane.id, name: row.event } : null);
  if (!row) return <Gone what="Event" />;
  const outside = Math.max(1, lane.monitor + lane.program);
  return (
    <Panel title={<><RoleMark place={isCallout(row.event) ? 'hypervisor' : 'trap'} /> {row.event}</>} sub={wordsOf(lane.technique).name} line={commandFor(lane)}>
      <Part><Facts facts={[['count', count(row.count)], ['cycles', count(row.cycles)], ['each', count(row.each)], ['of all outside', `${((row.cycles / outside) * 100).toFixed(1)} %`], ['per 1,000 instructions', lane.instructions > 0 ? ((row.count / lane.instructions) * 1000).toFixed(2) : null], ['last at', <Address key="rip" value={row.lastRip} space="gva" />], ['last', row.lastText], ['part of another', row.part ? 'yes: its cycles are in that one’s too' : null]]} /></Part>
      <Part title="Where the cost comes from" sub={lane.profile}><p className={inspector.quiet}>{row.source}</p></Part>
      {causes.length > 0 ? <Part title="What decides it" sub="bits of the VMCS"><table className={inspector.fields}><tbody>{causes.map((one) => <tr key={one.key} className={one.on ? '' : inspector.zero}><td>{one.encoding.slice(2)}</td><td>{one.field === '' ? '' : one.bit}</td><td style={{ whiteSpace: 'normal', fontFamily: 'var(--font-text)' }}><b>{one.name}</b></td><td>{one.on ? '1' : '0'}</td></tr>)}</tbody></table></Part> : null}
    </Panel>
  );
}

function VmcsField({ lane, name }: { lane: LaneRow; name: string }) {
  const row = useRows<VmcsRow>('vmcs', { host: lane.host, id: lane.id }).find((one) => one.name === name);
  const bits = useRows<VmcsBitRow>('vmcs-bits', { host: lane.host, id: lane.id, field: name });
  if (!row) return <Gone what={name} />;
  return (
    <Panel title={<><RoleMark place="hypervisor" /> {row.name}</>} sub={row.encoding} line={lane.state === 'ended' ? '' : `virsh qemu-monitor-command ${lane.vm} --hmp 'info registers'`}>
      <Part>
        <Chip place="hypervisor">{row.group === 'read-only' ? 'written by the processor' : row.group === 'guest' ? 'the guest’s' : 'written by the hypervisor'}</Chip>
        <div className={inspector.raw}>{row.value}</div>
        <Facts facts={[['encoding', row.encoding], ['width', row.width === 'natural' ? 'natural, 64 bits here' : `${row.width} bits`], ['group', row.group], ['says', bits.length > 0 ? null : row.text]]} />
      </Part>
      {bits.length > 0 ? <Part title="Bits" sub={`${bits.filter((one) => one.on).length} set`}><table className={inspector.fields}><tbody>{bits.map((one) => <tr key={one.key} className={one.on ? '' : inspector.zero}><td>{one.bit}</td><td>{one.on ? '1' : '0'}</td><td style={{ whiteSpace: 'normal', fontFamily: 'var(--font-text)' }}><b>{one.name || 'reserved, must be as it is'}</b></td></tr>)}</tbody></table></Part> : null}
    </Panel>
  );
}
