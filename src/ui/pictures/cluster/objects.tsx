/** Any object as YAML, as it is or as any write left it, with what that write added and took. */
import { Download, Upload } from 'lucide-react';
import { useState } from 'react';
import type { ObjectLineRow, ObjectRow, RevisionRow } from '../../../bridge/rows.ts';
import { useRows } from '../../bridge/client.ts';
import { count, seconds } from '../../format.ts';
import { partsCss } from '../../parts/parts.tsx';
import { exportManifests, importDump } from '../../session/transfer.ts';
import { useStore } from '../../store.ts';
import css from './cluster.module.css';
import type { FaceProps } from './cluster.tsx';

export default function Objects({ chosen }: FaceProps) {
  const asked = useStore((s) => s.mode.object);
  const [askedKind = '', askedObject = ''] = (asked ?? (chosen ? `Pod ${chosen}` : '')).split(' ');
  const kinds = useRows<ObjectRow>('objects');
  const [kind, setKind] = useState(askedKind || 'Pod');
  const [match, setMatch] = useState('');
  const [object, setObject] = useState(askedObject);
  const [revision, setRevision] = useState<number | null>(null);
  const found = useRows<ObjectRow>('objects', { kind, match });
  const name = object !== '' && (found.some((row) => row.key === object) || object === askedObject) ? object : (found[0]?.key ?? '');
  const revisions = useRows<RevisionRow>(name ? 'revisions' : null, { kind, object: name });
  const at = revision !== null && revisions.some((row) => row.revision === revision) ? revision : null;
  const lines = useRows<ObjectLineRow>(name ? 'object-text' : null, { kind, object: name, ...(at === null ? {} : { revision: at }) });
  const index = at === null ? revisions.length - 1 : revisions.findIndex((row) => row.revision === at);
  const row = revisions[index];
  return (
    <section className={css.face} aria-label="Objects">
      <div className={css.row}>
        <label>Kind <select className={css.pick} value={kind} onChange={(e) => { setKind(e.target.value); setObject(''); setRevision(null); }}>{kinds.map((one) => <option key={one.kind} value={one.kind}>{one.kind} ({count(one.revision)})</option>)}</select></label>
        <input type="search" className={css.search} aria-label="Search objects" placeholder="Part of a name" value={match} onChange={(e) => setMatch(e.target.value)} />
        <label>Object <select className={css.pick} value={name} onChange={(e) => { setObject(e.target.value); setRevision(null); }}>{name !== '' && !found.some((one) => one.key === name) ? <option>{name}</option> : null}{found.slice(0, 500).map((one) => <option key={one.key}>{one.key}</option>)}</select></label>
        <span className={css.actions}><button type="button" className={partsCss.button} onClick={importDump}><Upload size={14} aria-hidden="true" />Import dump</button><button type="button" className={partsCss.button} onClick={() => void exportManifests()}><Download size={14} aria-hidden="true" />Export manifests</button></span>
      </div>
      {revisions.length > 0 ? (
        <div className={css.row}>
          <label>Revision <input type="range" min={0} max={revisions.length - 1} value={index} aria-valuetext={row ? `${row.revision}, ${row.verb} by ${row.by}` : ''} onChange={(e) => setRevision(revisions[Number(e.target.value)]?.revision ?? null)} /></label>
          {row ? <span><b>{row.revision}</b>, {row.verb} by <b>{row.by}</b> at {seconds(row.t)} <span className={css.quiet}>({index + 1} of {revisions.length} writes remembered)</span></span> : null}
        </div>
      ) : name ? <p className={css.quiet}>No write of it is remembered: it is older than the newest 20,000.</p> : null}
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls */}
      <section className={css.yaml} tabIndex={0} aria-label={`${kind} ${name} as YAML`}>{lines.map((line) => <div key={line.key} className={line.change === 'fresh' ? css.fresh : line.change === 'lost' ? css.lost : ''}>{line.text || ' '}{line.change === '' ? null : <span className="sr"> {line.change === 'fresh' ? 'added' : 'taken away'}</span>}</div>)}</section>
    </section>
  );
}
