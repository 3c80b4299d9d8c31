/** Who died for want of memory, and why that one: every candidate's points from its parts, on one scale; the kernel's own report below. */
import { useState } from 'react';
import type { ContainerRow, KernelLogRow, OomRow } from '../../../bridge/rows.ts';
import { useRows } from '../../bridge/client.ts';
import { count, mib, seconds } from '../../format.ts';
import { OutcomeMark, RoleMark } from '../../parts/marks.tsx';
import { Empty, Runnable } from '../../parts/parts.tsx';
import { seek } from '../../session/session.ts';
import { select, useStore } from '../../store.ts';
import { HOST, same, shorten } from './names.ts';
import css from './containers.module.css';

const PAGE = 4096;
const SHOWN = 60;

export function OutOfMemory({ containers }: { containers: ContainerRow[] }) {
  const rows = useRows<OomRow>('oom', { host: HOST });
  const selection = useStore((s) => s.selection);
  const [asked, ask] = useState<number | null>(null);
  if (rows.length === 0) return <Empty title="Nobody has died for want of memory" line="docker run --name hog -m 32m busybox sh -c 'sleep 60 & tail /dev/zero'">When a group meets memory.max and nothing can be reclaimed, one process in it is killed. All that could have been, with the points that decided, stand here. On the host:</Empty>;
  const kills = [...new Map(rows.map((row) => [row.kill, row])).values()];
  const wanted = asked ?? (selection?.kind === 'process' ? rows.find((row) => String(row.pid) === selection.id)?.kill : selection?.kind === 'container' ? [...rows].reverse().find((row) => row.container !== '' && selection.id.startsWith(row.container))?.kill : undefined);
  const head = kills.find((one) => one.kill === wanted) ?? kills[kills.length - 1]!;
  const own = rows.filter((row) => row.kill === head.kill);
  const victim = own.find((row) => row.fate === 'victim');
  const nameOf = (row: OomRow): string => (row.container === '' ? '' : (containers.find((one) => same(row.container, one))?.name ?? row.container));
  return (
    <>
      <section className={css.block} aria-label="Out of memory">
        <h3><OutcomeMark outcome="killed" /> Out of memory {kills.length > 1 ? (
          <select className={css.select} aria-label="Which kill" value={head.kill} onChange={(e) => ask(Number(e.target.value))}>{kills.map((one) => { const dead = rows.find((row) => row.kill === one.kill && row.fate === 'victim'); return <option key={one.kill} value={one.kill}>{seconds(one.t)}: {dead ? `${dead.comm}, pid ${dead.pid}` : 'nobody could be killed'}</option>; })}</select>
        ) : <small>{seconds(head.t)}</small>}</h3>
        <Story head={head} victim={victim} own={own} name={victim ? nameOf(victim) : ''} />
        <Candidates rows={own} head={head} nameOf={nameOf} />
      </section>
      <Report t={head.t} victim={victim} />
    </>
  );
}

/** What led to it, in the order in which it happened. */
function Story({ head, victim, own, name }: { head: OomRow; victim: OomRow | undefined; own: OomRow[]; name: string }) {
  const group = own.filter((row) => row.fate === 'group').length;
  return (
    <ol className={css.story}>
      <li><RoleMark place="trap" /><span><b>{head.invoker}</b> (pid {head.invokerPid}) touched one page more</span><em>it had to be charged</em></li>
      <li><RoleMark place="host-kernel" /><span>{head.limitGroup ? <>the charge met <b>memory.max</b> of {shorten(head.limitGroup.slice(head.limitGroup.lastIndexOf('/') + 1))}</> : <>the machine’s memory was full</>}</span><em>{mib(head.usage)} of {mib(head.limit)} MiB used, nothing left to reclaim</em></li>
      <li><RoleMark place="host-kernel" /><span>{count(own.length)} {own.length === 1 ? 'process' : 'processes'} could be killed: {head.limitGroup ? 'those in that group and below' : 'all but pid 1'}</span><em>{head.constraint}</em></li>
      <li><OutcomeMark outcome={victim ? 'killed' : 'warn'} size={12} /><span>{victim ? <><b>{victim.comm}</b> (pid {victim.pid}{victim.container ? `, ${victim.nspid} in ${name}` : ''}) got SIGKILL</> : 'nobody could be killed'}</span><em>{victim ? `${victim.why}: ${count(victim.points ?? 0)} pages${group > 0 ? `; ${group} more with it, memory.oom.group` : ''}` : ''}</em></li>
      {victim && victim.pid !== head.invokerPid ? <li><OutcomeMark outcome="warn" size={12} /><span><b>{head.invoker}</b> asked, and <b>{victim.comm}</b> paid</span><em>who asks is not who is chosen</em></li> : null}
    </ol>
  );
}

function Candidates({ rows, head, nameOf }: { rows: OomRow[]; head: OomRow; nameOf: (row: OomRow) => string }) {
  const selection = useStore((s) => s.selection);
  const most = Math.max(1, ...rows.map((row) => row.rss / PAGE + row.pageTables / PAGE + Math.max(0, row.adjPages)));
  const percent = (pages: number): string => `${(Math.max(0, pages) / most) * 100}%`;
  return (
    <>
      <h4>Points in pages <small>resident + page tables + oom_score_adj × a thousandth of the limit ({count(Math.floor(head.limit / PAGE / 1000))} pages)</small></h4>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls */}
      <section className={css.wide} tabIndex={0} aria-label="Who could have died">
        <table className={css.plain}>
          <thead><tr><th scope="col">pid</th><th scope="col">process</th><th scope="col">points</th><th scope="col"><span className="sr">drawn</span></th><th scope="col">= rss</th><th scope="col">+ tables</th><th scope="col">+ adj</th><th scope="col">fate</th></tr></thead>
          <tbody>{rows.slice(0, SHOWN).map((row) => (
            <tr key={row.key} className={`${row.fate === 'spared' ? '' : css.deadRow} ${selection?.kind === 'process' && selection.id === String(row.pid) ? css.onRow : ''}`}>
              <td><button type="button" className={css.link} onClick={() => select({ kind: 'process', id: String(row.pid), host: row.host })}>{row.pid}</button></td>
              <td>{row.comm}{row.container ? <small> {row.nspid} in {nameOf(row)}</small> : null}</td>
              <td className={css.num}><b>{row.points === null ? 'never' : count(row.points)}</b></td>
              <td className={css.points}><span><i style={{ width: percent(row.rss / PAGE), background: 'var(--container)' }} /><i style={{ width: percent(row.pageTables / PAGE), background: 'var(--host-kernel)' }} />{row.adjPages > 0 ? <i className={css.adj} style={{ width: percent(row.adjPages) }} /> : null}</span></td>
              <td className={css.num}>{count(row.rss / PAGE)}</td><td className={css.num}>{count(row.pageTables / PAGE)}</td><td className={css.num}>{row.adj === 0 ? <span className={css.zero}>0</span> : `${count(row.adjPages)} (${row.adj})`}</td>
              <td>{row.fate === 'spared' ? row.why : <><OutcomeMark outcome="killed" size={11} /> {row.why}</>}{row.invoked ? ', asked' : ''}</td>
            </tr>
          ))}</tbody>
        </table>
      </section>
      <div className={css.legend}>
        <span><i className={css.swatch} style={{ background: 'var(--container)' }} />resident pages</span><span><i className={css.swatch} style={{ background: 'var(--host-kernel)' }} />page tables</span>{rows.some((row) => row.adj > 0) ? <span><i className={`${css.swatch} ${css.adj}`} />oom_score_adj adds</span> : null}{rows.some((row) => row.adj < 0) ? <span>a negative oom_score_adj takes away; −1000: never</span> : null}
        {rows.length > SHOWN ? <span>{rows.length - SHOWN} more with fewer points: as a table</span> : null}
      </div>
    </>
  );
}

/** The lines of dmesg of that moment; those that decide stand out. */
function Report({ t, victim }: { t: number; victim: OomRow | undefined }) {
  const lines = useRows<KernelLogRow>('kernel-log', { host: HOST, from: t - 5e6, to: t });
  const [all, unfold] = useState(false);
  const telling = /invoked oom-killer|memory: usage|oom-kill:constraint|Killed process|are going to be killed|no killable/;
  const shown = all ? lines : lines.filter((line) => telling.test(line.text));
  return (
    <section className={css.block} aria-label="The kernel’s report">
      <h3><RoleMark place="host-kernel" /> The kernel’s report <small>dmesg at {seconds(t)}</small> <button type="button" className={css.link} aria-expanded={all} onClick={() => unfold(!all)}>{all ? 'only what decides' : `all ${lines.length} lines`}</button> <button type="button" className={css.link} onClick={() => void seek(t)}>go to this moment</button></h3>
      <ol className={css.dmesg}>{shown.map((line) => (
        <li key={line.key} className={/Killed process/.test(line.text) ? css.deadLine : ''}><span>{line.stamp}</span><code>{victim && line.text.includes(`process ${victim.pid} `) ? marked(line.text, victim) : line.text}</code></li>
      ))}</ol>
      <Runnable line="dmesg | tail -n 40" />
    </section>
  );
}

function marked(text: string, victim: OomRow): React.ReactNode {
  const [before, after] = text.split(`process ${victim.pid} `) as [string, string];
  return <>{before}process <button type="button" className={css.link} onClick={() => select({ kind: 'process', id: String(victim.pid), host: victim.host })}>{victim.pid}</button> {after}</>;
}
