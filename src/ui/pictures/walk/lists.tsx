/** Exits by reason and in order; registers, code round the instruction pointer, and the VMCS. */
import type { DisassemblyRow, ExitLogRow, ExitRow, RegisterRow, VmcsRow } from '../../../bridge/rows.ts';
import { useRows } from '../../bridge/client.ts';
import { count, plural, seconds } from '../../format.ts';
import { RoleMark } from '../../parts/marks.tsx';
import { Address, Empty } from '../../parts/parts.tsx';
import { select } from '../../store.ts';
import { argOf, type Machine } from './machine.ts';
import css from '../pictures.module.css';

const NUMBER = { textAlign: 'right' } as const;

export function Exits({ vm }: { vm: Machine }) {
  const exits = useRows<ExitRow>('exits', argOf(vm));
  const log = useRows<ExitLogRow>('exit-log', argOf(vm));
  const most = Math.max(1, ...exits.map((row) => row.count));
  if (exits.length === 0) return <Empty title="No exit yet">The guest has not left guest mode.</Empty>;
  return (
    <div className={css.pad}>
      <div className={css.side} style={{ flexDirection: 'column' }}>
        <div>
          <h3><RoleMark place="trap" /> Exits by reason <small>full bar {plural(most, 'exit')}</small></h3>
          <table className={css.tight}>
            <thead><tr><th scope="col">reason</th><th scope="col">name</th><th scope="col">share of exits</th><th scope="col" style={NUMBER}>cycles</th><th scope="col" style={NUMBER}>count</th></tr></thead>
            <tbody>{[...exits].sort((a, b) => b.count - a.count).map((row) => <tr key={row.key}><td>{row.reason}</td><td><button type="button" onClick={() => select({ kind: 'exit', id: row.key })}><u>{row.name}</u></button></td><td style={{ width: '30%' }}><span style={{ display: 'block', height: 8, width: `${(row.count / most) * 100}%`, background: 'var(--trap)' }} /></td><td style={NUMBER}>{count(row.cycles)}</td><td style={NUMBER}>{count(row.count)}</td></tr>)}</tbody>
          </table>
        </div>
        <div>
          <h3>The newest exits <small>in order</small></h3>
          <table className={css.tight}>
            <thead><tr><th scope="col">n</th><th scope="col">time</th><th scope="col">exit</th><th scope="col">rip</th><th scope="col">qualification</th><th scope="col">cycles</th></tr></thead>
            <tbody>{log.slice(-40).reverse().map((row) => <tr key={row.key}><td>{row.n}</td><td>{seconds(row.t)}</td><td>{row.name}</td><td>{row.rip}</td><td>{row.qualification}{row.gpa ? <> <Address value={row.gpa} space="gpa" /></> : null}</td><td>{count(row.cycles)}</td></tr>)}</tbody>
          </table>
        </div>
      </div>
    </div>
  );
}

export function Registers({ vm }: { vm: Machine }) {
  const registers = useRows<RegisterRow>('registers', argOf(vm));
  const code = useRows<DisassemblyRow>('disassembly', argOf(vm));
  const vmcs = useRows<VmcsRow>('vmcs', argOf(vm));
  const groups = [...new Set(registers.map((row) => row.group))];
  return (
    <div className={css.pad}>
      <div className={css.two}>
        <div className={css.side}>
          {groups.map((group) => <div key={group}><h3>{group}</h3><table className={css.tight}><tbody>{registers.filter((row) => row.group === group).map((row) => <tr key={row.key}><td>{row.name}</td><td style={{ color: /^0x0*$/.test(row.value) ? 'var(--ink-3)' : undefined }}>{row.value}</td><td style={{ fontFamily: 'var(--font-text)', color: 'var(--ink-2)' }}>{row.text}</td></tr>)}</tbody></table></div>)}
        </div>
        <div className={css.side}>
          <div><h3><RoleMark place="guest-kernel" /> Code <small>around rip</small></h3><table className={css.tight}><tbody>{code.map((row) => <tr key={row.key} style={row.current ? { background: 'var(--now)', color: 'var(--on-now)' } : undefined}><td>{row.address}</td><td style={{ opacity: 1 }}>{row.bytes}</td><td style={{ textAlign: 'left', width: '50%', whiteSpace: 'normal' }}>{row.text}</td></tr>)}</tbody></table></div>
          <div><h3><RoleMark place="hypervisor" /> VMCS <small>field, encoding, value</small></h3><table className={css.tight}><tbody>{vmcs.map((row) => <tr key={row.key}><td>{row.name}</td><td style={{ color: 'var(--ink-3)' }}>{row.encoding}</td><td>{row.value}</td></tr>)}</tbody></table></div>
        </div>
      </div>
    </div>
  );
}
