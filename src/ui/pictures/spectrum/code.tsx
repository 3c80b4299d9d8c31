/**
 * What became of the guest's code: for binary translation the original beside the translation, unit by unit, with the chains
 * between units; for trap-and-emulate the instructions that should have trapped; and the virtual processor of both.
 */
import { useState } from 'react';
import type { LaneRow, SensitiveRow, TranslatedRow, TranslationRow, VirtualCpuRow } from '../../../bridge/rows.ts';
import { useRows } from '../../bridge/client.ts';
import { count } from '../../format.ts';
import { OutcomeMark, RoleMark } from '../../parts/marks.tsx';
import { Address, CsvButton, Empty } from '../../parts/parts.tsx';
import { type Side, wordsOf } from './lanes.ts';
import css from './spectrum.module.css';

const OURS = ['binary-translation', 'trap-and-emulate'];

export function Code({ side }: { side: Side }) {
  const lanes = side.all.filter((lane) => OURS.includes(lane.technique) && lane.machine);
  const [wanted, want] = useState('');
  const lane = lanes.find((one) => one.key === wanted) ?? lanes.findLast((one) => one.technique === 'binary-translation' && side.shown.includes(one)) ?? lanes.at(-1);
  if (!lane) {
    return <Empty title="No guest has run without VT-x" line="qemu-system-x86_64 -accel tcg -m 32 -nographic -device isa-debug-exit,iobase=0xf4,iosize=4 -kernel /var/lib/libvirt/images/nest.img -append 'fork 3 exit'">Under binary translation its code is shown here beside what it was translated to; under trap-and-emulate, what did not trap.</Empty>;
  }
  return (
    <div className={css.pad}>
      <div style={{ display: 'flex', gap: 8, alignItems: 'center', flexWrap: 'wrap' }}>
        <select className={css.select} aria-label="Machine" value={lane.key} onChange={(e) => want(e.target.value)}>{lanes.map((one) => <option key={one.key} value={one.key}>{wordsOf(one.technique).name} #{one.id}</option>)}</select>
        <small className={css.small}>{lane.vm}, {lane.state}: {lane.workload}</small>
      </div>
      {lane.technique === 'binary-translation' ? <Units lane={lane} /> : null}
      <Silent lane={lane} />
      <Processor lane={lane} />
    </div>
  );
}

function Units({ lane }: { lane: LaneRow }) {
  const arg = { host: lane.host, id: lane.id };
  const units = useRows<TranslationRow>('translation', arg);
  const [chosen, choose] = useState<number | null>(null);
  const unit = units.find((one) => one.unit === chosen) ?? units.findLast((one) => !one.dead && one.callouts > 0) ?? units.at(-1);
  const rows = useRows<TranslatedRow>('translated', unit ? { ...arg, unit: unit.unit } : null);
  if (!unit) return <p className={css.small}>Nothing has been translated yet.</p>;
  const ident = units.reduce((sum, one) => sum + one.ident, 0);
  const all = Math.max(1, units.reduce((sum, one) => sum + one.instructions, 0));
  const leads = unit.to.split(/[ ,]+/).filter(Boolean);
  return (
    <>
      <section>
        <h3>Unit {unit.unit} <small>{unit.source} bytes at {unit.rip}, {unit.length} in the cache at {unit.place}{unit.dead ? '; given up' : ''}</small><span className={css.end}><CsvButton name={`unit-${unit.unit}`} rows={rows} /></span></h3>
        <div className={css.wide}>
          <table className={css.table}>
            <thead><tr><th scope="col"><RoleMark place="guest-kernel" /> guest</th><th scope="col">bytes</th><th scope="col">original</th><th scope="col">became</th><th scope="col"><RoleMark place="hypervisor" /> cache</th><th scope="col">bytes</th><th scope="col">translation</th><th scope="col">leaves for</th></tr></thead>
            <tbody>{rows.map((row) => (
              <tr key={row.key}>
                <td>{row.text ? <Address value={row.rip} space="gva" /> : null}</td><td className={css.zero}>{row.text ? row.bytes : ''}</td><td>{row.text ? <b style={{ fontWeight: 600 }}>{row.text}</b> : null}</td><td className={css.text}>{row.text ? row.kind : ''}</td>
                <td className={css.zero}>{row.place}</td><td className={css.zero}>{row.cached}</td><td style={{ color: row.calls ? 'var(--hypervisor-ink)' : row.kind === 'IDENT' ? undefined : 'var(--guest-kernel-ink)' }}>{row.does}</td><td className={css.text}>{row.calls}</td>
              </tr>
            ))}</tbody>
          </table>
        </div>
        <p className={css.small}>Goes on at {leads.length === 0 ? 'what an indirect jump finds' : leads.map((to) => { const next = units.find((one) => String(one.unit) === to || one.rip === to); return next ? <button key={to} type="button" className={css.link} onClick={() => choose(next.unit)}>unit {next.unit}, {next.rip}</button> : <span key={to}>{to}</span>; }).reduce<React.ReactNode[]>((list, one, n) => (n === 0 ? [one] : [...list, ', ', one]), [])}; {unit.chained} of {unit.exits} {unit.exits === 1 ? 'exit' : 'exits'} chained.</p>
      </section>
      <section>
        <h3>Units <small>{count(units.length)}; {((ident / all) * 100).toFixed(0)} % of {count(all)} instructions identical</small><span className={css.end}><CsvButton name="units" rows={units} /></span></h3>
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls */}
        <section className={css.wide} tabIndex={0} aria-label="Units" style={{ maxHeight: 320, overflow: 'auto' }}>
          <table className={css.table}>
            <thead><tr><th scope="col">unit</th><th scope="col">guest</th><th scope="col" className={css.num}>instructions</th><th scope="col" className={css.num}>identical</th><th scope="col" className={css.num}>bytes</th><th scope="col" className={css.num}>in the cache</th><th scope="col" className={css.num}>chained</th><th scope="col" className={css.num}>callouts</th><th scope="col" className={css.num}>adapted</th><th scope="col">goes on at</th></tr></thead>
            <tbody>{units.slice(-200).reverse().map((one) => (
              <tr key={one.key} className={`${one.unit === unit.unit ? css.on : ''} ${one.dead ? css.zero : ''}`}><td><button type="button" className={css.link} onClick={() => choose(one.unit)}>{one.unit}</button></td><td>{one.rip}</td><td className={css.num}>{one.instructions}</td><td className={css.num}>{one.ident}</td><td className={css.num}>{one.source}</td><td className={css.num}>{one.length}</td><td className={css.num}>{one.chained}/{one.exits}</td><td className={css.num}>{one.callouts}</td><td className={css.num}>{one.adaptive}</td><td>{one.dead ? 'given up' : one.to}</td></tr>
            ))}</tbody>
          </table>
        </section>
      </section>
    </>
  );
}

function Silent({ lane }: { lane: LaneRow }) {
  const rows = useRows<SensitiveRow>('sensitive', { host: lane.host, id: lane.id });
  if (rows.length === 0) return lane.technique === 'trap-and-emulate' ? <p className={css.small}>No sensitive instruction has run without a trap yet.</p> : null;
  const wrong = rows.filter((row) => row.wrong).length;
  return (
    <section>
      <h3>Sensitive, but not privileged <small>they run in the wrong ring and nobody is told: {wrong} of {rows.length} gave something else than on a machine of the guest’s own</small><span className={css.end}><CsvButton name="sensitive" rows={rows} /></span></h3>
      <div className={css.wide}>
        <table className={css.table}>
          <thead><tr><th scope="col">instruction</th><th scope="col">at</th><th scope="col" className={css.num}>times</th><th scope="col">gave</th><th scope="col">should be</th><th scope="col">outcome</th></tr></thead>
          <tbody>{rows.map((row) => <tr key={row.key}><td><b style={{ fontWeight: 600 }}>{row.text}</b></td><td><Address value={row.rip} space="gva" /></td><td className={css.num}>{count(row.times)}</td><td>{row.saw}</td><td>{row.should}</td><td className={css.text}>{row.wrong ? <><OutcomeMark outcome="killed" size={12} /> wrong</> : 'happens to be right'}</td></tr>)}</tbody>
        </table>
      </div>
    </section>
  );
}

function Processor({ lane }: { lane: LaneRow }) {
  const rows = useRows<VirtualCpuRow>('virtual-cpu', { host: lane.host, id: lane.id });
  if (rows.length === 0) return null;
  return (
    <section>
      <h3>The virtual processor <small>what the guest believes, and what is in the real one</small></h3>
      <div className={css.wide}>
        <table className={css.table}>
          <thead><tr><th scope="col">register</th><th scope="col">virtual</th><th scope="col">real</th><th scope="col">which says</th></tr></thead>
          <tbody>{rows.map((row) => <tr key={row.key}><td>{row.name}</td><td>{row.virtual}</td><td className={row.virtual === row.real ? css.zero : ''}>{row.real}</td><td className={css.text}>{row.text}</td></tr>)}</tbody>
        </table>
      </div>
    </section>
  );
}
