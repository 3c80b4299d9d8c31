/** The VMCS of a machine under VT-x as it stands: fields by group with what they say, flags by name, found by any word. */
import { useState } from 'react';
import type { VmcsRow } from '../../../bridge/rows.ts';
import { useRows } from '../../bridge/client.ts';
import { RoleMark } from '../../parts/marks.tsx';
import { CsvButton, Empty } from '../../parts/parts.tsx';
import { select, useStore } from '../../store.ts';
import { type Side, wordsOf } from './lanes.ts';
import css from './spectrum.module.css';

const GROUPS = [['control', 'Controls', 'what the hypervisor decided'], ['read-only', 'Read-only data', 'written by the processor at an exit'], ['guest', 'Guest state', 'loaded at entry, saved at exit'], ['host', 'Host state', 'loaded at exit']] as const;

export function Vmcs({ side }: { side: Side }) {
  const lanes = side.all.filter((lane) => lane.technique.startsWith('vmx') && lane.machine);
  const [wanted, want] = useState('');
  const [query, search] = useState('');
  const lane = lanes.find((one) => one.key === wanted) ?? lanes.findLast((one) => side.shown.includes(one)) ?? lanes.at(-1);
  const rows = useRows<VmcsRow>('vmcs', lane ? { host: lane.host, id: lane.id } : null);
  const selection = useStore((s) => s.selection);
  if (!lane) return <Empty title="No machine under VT-x" line="virsh start tiny">The control structure of a virtual processor is shown here, while its machine runs and when it has ended.</Empty>;
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  const found = rows.filter((row) => words.every((word) => `${row.name} ${row.encoding} ${row.value} ${row.text} ${row.group}`.toLowerCase().includes(word)));
  return (
    <div className={css.pad}>
      <div style={{ display: 'flex', gap: 8, alignItems: 'center', flexWrap: 'wrap' }}>
        <input className={css.search} type="search" aria-label="Search the VMCS" placeholder="a field, an encoding, a bit’s name" value={query} onChange={(e) => search(e.target.value)} />
        {lanes.length > 1 ? <select aria-label="Machine" value={lane.key} onChange={(e) => want(e.target.value)}>{lanes.map((one) => <option key={one.key} value={one.key}>{wordsOf(one.technique).name} #{one.id}</option>)}</select> : null}
        <small className={css.small}>{lane.vm}, {lane.state}; {found.length} of {rows.length} fields</small><span style={{ marginLeft: 'auto' }}><CsvButton name="vmcs" rows={rows} /></span>
      </div>
      {found.length === 0 ? <p className={css.small}>No field has “{query}” in its name, encoding, value or bits.</p> : null}
      {GROUPS.map(([group, name, sub]) => {
        const own = found.filter((row) => row.group === group);
        if (own.length === 0) return null;
        return (
          <section key={group}>
            <h3><RoleMark place="hypervisor" /> {name} <small>{sub}</small></h3>
            <div className={css.wide}>
              <table className={css.table}>
                <thead><tr><th scope="col">encoding</th><th scope="col">field</th><th scope="col" className={css.num}>value</th><th scope="col">which says</th></tr></thead>
                <tbody>{own.map((row) => (
                  <tr key={row.key} className={`${row.value === '0x0' ? css.zero : ''} ${selection?.kind === 'vmcs' && selection.id === `${lane.host}:${lane.id}:${row.name}` ? css.on : ''}`}>
                    <td>{row.encoding.slice(2)}</td><td><button type="button" className={css.link} onClick={() => select({ kind: 'vmcs', id: `${lane.host}:${lane.id}:${row.name}` })}>{row.name}</button></td><td className={css.num}>{row.value}</td>
                    <td className={css.text} style={{ whiteSpace: 'normal', lineHeight: '17px', padding: '3px 0' }}>{row.text}</td></tr>
                ))}</tbody>
              </table>
            </div>
          </section>
        );
      })}
    </div>
  );
}
