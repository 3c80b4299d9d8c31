/** Why is it so: the recorded causes of an effect, newest first, each a jump to its moment and to what it is about. */
import type { WhyRow } from '../../bridge/rows.ts';
import { useRows } from '../bridge/client.ts';
import { seconds, sentence } from '../format.ts';
import { OutcomeMark, RoleMark, roleOfFloor } from '../parts/marks.tsx';
import { seek } from '../session/session.ts';
import { type SceneId, SCENES, type Selection, set, show } from '../store.ts';
import { Part } from './inspected.tsx';
import css from './inspector.module.css';

export const isScene = (name: string): name is SceneId => SCENES.some((one) => one.id === name);

export function Why({ kind, id, title }: { kind: string; id: string; title: string }) {
  const rows = useRows<WhyRow>('why', { kind, id });
  if (rows.length === 0) return null;
  return (
    <Part title={title} sub="each line is a jump">
      <ol className={css.why}>{rows.map((row, i) => (
        <li key={row.key}><button type="button" onClick={() => { void seek(row.t); jump(row); }}>
          {i === 0 && /kill|OOM/i.test(row.text) ? <OutcomeMark outcome="killed" size={13} /> : <RoleMark place={roleOfFloor(row.floor)} size={12} />}
          <b>{sentence(row.text)}</b><time>{seconds(row.t)}</time><span>{row.figure || row.detail.slice(0, 90)}</span>
        </button></li>
      ))}</ol>
    </Part>
  );
}
/** To what a cause is about, in the picture that shows it. */
function jump(row: WhyRow): void {
  if (isScene(row.scene)) show(row.scene);
  let selection: Selection | null = null;
  if (row.scene === 'cluster' && row.select.includes('/')) selection = { kind: 'pod', id: row.select };
  else if (row.scene === 'containers' && /^\d+$/.test(row.select)) selection = { kind: 'process', id: row.select, host: 'lab' };
  else if (row.scene === 'containers' && row.select.startsWith('packet:')) {
    selection = { kind: 'packet', id: row.select.slice(7) };
    set((s) => ({ mode: { ...s.mode, containers: 'network' } }));
  } else if (row.scene === 'containers' && row.select.startsWith('/')) selection = { kind: 'cgroup', id: row.select, host: 'lab' };
  if (selection) set({ selection });
}
