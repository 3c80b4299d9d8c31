/** The same stretch of the guest in every lane, line by line: a line is an instruction at which at least one of them left the guest. */
import type { GuestMarkRow, LaneRow, LockstepRow } from '../../../bridge/rows.ts';
import { useRows } from '../../bridge/client.ts';
import { count } from '../../format.ts';
import { OutcomeMark, RoleMark } from '../../parts/marks.tsx';
import { select, useStore } from '../../store.ts';
import { Bar, Legend } from './bar.tsx';
import { isCallout, isMissed, PLACES, shortly, type Side, stretchName, wordsOf } from './lanes.ts';
import { Rail, RAIL, RailHead } from './rail.tsx';
import css from './spectrum.module.css';

const HEIGHT = { light: 44, dark: 44, projector: 58 };
const KEPT = 64;
const CODE = 156;
const LANE = 142;

export function Lockstep({ side }: { side: Side }) {
  const { shown, segment, segments } = side;
  const host = shown[0]?.host ?? 'lab';
  const lanes = shown.filter((one) => one.host === host);
  const rows = useRows<LockstepRow>('lockstep', { host, ids: lanes.map((one) => one.id).join(','), segment });
  const marks = useRows<GuestMarkRow>('guest-marks', { host });
  const theme = useStore((s) => s.theme);
  const selection = useStore((s) => s.selection);
  const lines: LockstepRow[][] = [];
  for (const row of rows) (lines[row.line] ??= []).push(row);
  const most = Math.max(1, ...rows.map((row) => row.cycles));
  const sums = lanes.map((lane) => marks.find((row) => row.id === lane.id && row.segment === segment));
  const scale = Math.max(1, ...sums.map((row) => row?.cycles ?? 0));
  const height = HEIGHT[theme];
  const chosen = selection?.kind === 'leave' ? lines.findIndex((cells) => cells.some((cell) => leaveId(host, cell) === selection.id)) : -1;
  const columns = { gridTemplateColumns: `minmax(${CODE}px, 0.8fr) repeat(${lanes.length}, ${RAIL}px minmax(${LANE}px, 1fr))` };
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the arrows move among its buttons
    <div className={css.lock} style={{ minWidth: CODE + lanes.length * (RAIL + LANE) }} onKeyDown={move}>
      <div className={`${css.line} ${css.headLine}`} style={columns}>
        <div className={css.laneHead}><b>Guest</b><small>{stretchName(segments, segment)}</small></div>
        {lanes.map((lane) => <LaneHead key={lane.key} lane={lane} />)}
      </div>
      {lines.length === 0 ? <p className={css.none}>{lanes.every((one) => one.technique === 'native') ? 'On the bare machine nothing takes the guest away: there is no one below it. Run it under a technique to have something beside it.' : 'The guest was not left in this stretch.'}</p> : null}
      {lines.map((cells, at) => {
        const first = cells[0]!;
        const before = lines[at - 1]?.[0]?.ring ?? first.ring;
        return (
          <div key={first.line} className={`${css.line} ${at === chosen ? css.nowLine : ''}`} style={{ ...columns, height }}>
            <div className={css.code}><i>{at + 1}</i><span><b>{first.text || first.rip}</b> <RoleMark place={first.ring === 3 ? 'guest-user' : 'guest-kernel'} size={9} /></span><code>{first.bytes || 'no bytes'}</code></div>
            {cells.map((cell, lane) => (
              <Cell key={cell.id} cell={cell} host={host} at={at} lane={lane} most={most} first={at === 0 && lane === 0}>
                <Rail ring={first.ring} before={before} lines={wordsOf(cell.technique).lines} left={cell.event !== '' && !isMissed(cell.event)} missed={isMissed(cell.event)} callout={isCallout(cell.event)} program={cell.program > 0} height={height} last={at === lines.length - 1 && lanes[lane]?.state === 'ended' && segment === segments.length - 1} />
              </Cell>
            ))}
          </div>
        );
      })}
      <div className={`${css.line} ${css.sumLine}`} style={columns}>
        <div className={css.code}><span><b>This stretch</b></span><span className={css.small}>one scale: full bar {count(scale)}</span></div>
        {lanes.map((lane, n) => <Sum key={lane.key} lane={lane} row={sums[n]} scale={scale} kept={rows.filter((row) => row.id === lane.id && row.event !== '' && !isMissed(row.event)).length} missed={rows.filter((row) => row.id === lane.id && isMissed(row.event)).length} />)}
      </div>
      <Legend places={PLACES.filter((place) => sums.some((row) => row && row[place] > 0))} />
    </div>
  );
}
export const leaveId = (host: string, cell: { id: number; n: number | null }): string => `${host}:${cell.id}:${cell.n}`;

export function LaneHead({ lane }: { lane: LaneRow }) {
  const { name, sub } = wordsOf(lane.technique);
  return (
    <>
      <div className={css.railHead}><RailHead /></div>
      <div className={css.laneHead}><b>{lane.state === 'crashed' ? <OutcomeMark outcome="warn" size={12} /> : null} {name}</b><small title={`${lane.vm}: ${lane.workload}`}>{lane.state === 'crashed' ? lane.problem : sub}</small></div>
    </>
  );
}

function Cell({ cell, host, at, lane, most, first, children }: { cell: LockstepRow; host: string; at: number; lane: number; most: number; first: boolean; children: React.ReactNode }) {
  const selection = useStore((s) => s.selection);
  const id = leaveId(host, cell);
  const on = selection?.kind === 'leave' && selection.id === id;
  const callout = isCallout(cell.event);
  if (cell.event === '') return <><div>{children}</div><div className={css.ran}>{cell.how}</div></>;
  return (
    <>
      <div>{children}</div>
      <button type="button" className={`${css.leave} ${callout ? css.callout : isMissed(cell.event) ? css.missed : ''} ${on ? css.on : ''}`} data-at={at} data-lane={lane} tabIndex={on || (first && selection?.kind !== 'leave') ? 0 : -1} aria-pressed={on}
        aria-label={`Line ${at + 1}, ${wordsOf(cell.technique).name}: ${cell.event}, ${cell.cycles} cycles${cell.detail ? `, ${shortly(cell.detail)}` : ''}`} onClick={() => select({ kind: 'leave', id })} onFocus={() => select({ kind: 'leave', id })}>
        <span className={css.why}><b>{nameIn(cell)}</b><em>{isMissed(cell.event) ? 'silent' : count(cell.cycles)}</em></span>
        <span className={css.detail}>{shortly(cell.detail) || (cell.program > 0 ? 'a program answers' : 'the hypervisor answers')}</span>
        <span className={css.cost}><i hidden={cell.cycles === 0} style={{ width: `${Math.max(1.5, (cell.cycles / most) * 100)}%` }} /></span>
      </button>
    </>
  );
}

/** The mnemonic stands at the left of the line: it is not said again. */
function nameIn({ event, text }: LockstepRow): string {
  const mnemonic = text.split(' ')[0] ?? '';
  return mnemonic !== '' && event.endsWith(`: ${mnemonic}`) ? event.slice(0, -mnemonic.length - 2) : event;
}

function Sum({ lane, row, scale, kept, missed }: { lane: LaneRow; row: GuestMarkRow | undefined; scale: number; kept: number; missed: number }) {
  if (!row) return <div style={{ gridColumn: 'span 2' }} className={css.sum}><span className={css.small}>has not come so far</span></div>;
  return (
    <div className={css.sum} style={{ gridColumn: 'span 2' }}>
      <div><b className={css.total}>{count(row.cycles)}</b> <small>cycles{row.ratio !== null && lane.technique !== 'native' ? <>, <b>{row.ratio}×</b> bare</> : null}</small></div>
      <Bar row={row} scale={scale} />
      {missed > 0 ? <small className={css.wrong}><OutcomeMark outcome="killed" size={11} /> wrong: {missed} did not trap; </small> : null}
      <small>left {count(row.events)} {row.events === 1 ? 'time' : 'times'}{row.events > kept && kept >= KEPT ? `; the first ${kept} are shown` : ''}</small>
    </div>
  );
}

/** Arrows move among the cells that are buttons: to the next in the row, or the nearest row that has one in this lane. */
function move(event: React.KeyboardEvent): void {
  const here = (event.target as HTMLElement).closest<HTMLElement>('[data-at]');
  if (!here) return;
  const [at, lane] = [Number(here.dataset.at), Number(here.dataset.lane)];
  const all = [...event.currentTarget.querySelectorAll<HTMLElement>('[data-at]')];
  const pick = (of: HTMLElement[]): void => {
    if (!of[0]) return;
    event.preventDefault();
    of[0].focus();
    of[0].scrollIntoView({ block: 'nearest', inline: 'nearest' });
  };
  const rowOf = (one: HTMLElement): number => Number(one.dataset.at);
  if (event.key === 'ArrowDown') pick(all.filter((one) => rowOf(one) > at && Number(one.dataset.lane) === lane));
  else if (event.key === 'ArrowUp') pick(all.filter((one) => rowOf(one) < at && Number(one.dataset.lane) === lane).reverse());
  else if (event.key === 'ArrowRight') pick(all.filter((one) => rowOf(one) === at && Number(one.dataset.lane) > lane));
  else if (event.key === 'ArrowLeft') pick(all.filter((one) => rowOf(one) === at && Number(one.dataset.lane) < lane).reverse());
  else if (event.key === 'Home') pick(all);
  else if (event.key === 'End') pick(all.reverse());
}
