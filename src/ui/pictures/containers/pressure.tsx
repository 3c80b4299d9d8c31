/** Pressure of one group: the files as they read, and time lost of each kind on one scale. Source: kernel doc accounting/psi. */
import type { FileLineRow } from '../../../bridge/rows.ts';
import { useRows } from '../../bridge/client.ts';
import { count } from '../../format.ts';
import type { Group } from './groups.tsx';
import { HOST, shorten } from './names.ts';
import css from './containers.module.css';

const KINDS = [['cpu', 'waited for a processor'], ['memory', 'waited for memory: reclaim'], ['io', 'waited for the disk']] as const;

export function Pressure({ group }: { group: Group }) {
  const { row, more, container } = group;
  const base = `/sys/fs/cgroup${row.path === '/' ? '' : row.path}`;
  if (!more) return null;
  const lost = { cpu: [more.cpuSome, more.cpuFull], memory: [more.memorySome, more.memoryFull], io: [more.ioSome, more.ioFull] } as const;
  const scale = Math.max(1, ...Object.values(lost).flat());
  return (
    <>
      <h3>{container?.name ?? (row.path === '/' ? '/' : shorten(row.name))} <small>pressure stall information</small></h3>
      {KINDS.map(([kind, says]) => (
        <div key={kind} className={css.psi}>
          <h4>{kind}.pressure <small>{says}</small></h4>
          {(['some', 'full'] as const).map((line, i) => <div key={line}><span>{line}</span><i><b style={{ width: `${(lost[kind][i]! / scale) * 100}%` }} /></i><span>{count(lost[kind][i]! / 1000)} ms</span></div>)}
          <Lines path={`${base}/${kind}.pressure`} />
        </div>
      ))}
    </>
  );
}

function Lines({ path }: { path: string }) {
  const rows = useRows<FileLineRow>('file-text', { host: HOST, path });
  return <pre className={css.text2}>{rows.map((row) => row.text).join('\n')}</pre>;
}
