/** The text twin of the canvas: every pod a row, of which only those in sight are in the page. */
import { useState } from 'react';
import { count } from '../../format.ts';
import { select } from '../../store.ts';
import css from './cluster.module.css';
import { isThere, type Model, nodeName, podName, QOS_NAMES, search, STATE_NAMES } from './model.ts';

const ROW = 23;
const SEEN = 60;

export function PodTable({ model }: { model: Model }) {
  const [top, setTop] = useState(0);
  const [query, setQuery] = useState('');
  const found = search(model, query);
  const slots: number[] = [];
  for (let slot = 0; slot < model.used; slot++) if (isThere(model, slot) && (!found || found[slot] === 1)) slots.push(slot);
  const from = Math.max(0, Math.min(slots.length - SEEN, Math.floor(top / ROW) - 10));
  const shown = slots.slice(from, from + SEEN);
  return (
    <div className={css.face} style={{ height: '100%', gridTemplateRows: 'auto minmax(0, 1fr)', boxSizing: 'border-box' }}>
      <div className={css.row}><input type="search" className={css.search} placeholder="Pod, node, owner, state" aria-label="Search pods" value={query} onChange={(e) => setQuery(e.target.value)} /><span role="status">{count(slots.length)} of {count(model.living)} pods</span></div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls */}
      <section className={css.virtual} tabIndex={0} aria-label="Pods" onScroll={(e) => setTop(e.currentTarget.scrollTop)}>
        <table aria-rowcount={slots.length + 1}>
          <thead><tr><th scope="col">pod</th><th scope="col">state</th><th scope="col">node</th><th scope="col">QoS</th><th scope="col">owner</th></tr></thead>
          <tbody>
            {from > 0 ? <tr><td colSpan={5} style={{ height: from * ROW }} /></tr> : null}
            {shown.map((slot, i) => (
              // biome-ignore lint/a11y/useSemanticElements: a row of a table that can be chosen
              <tr key={slot} aria-rowindex={from + i + 2} tabIndex={0} onClick={() => select({ kind: 'pod', id: podName(model, slot) })} onKeyDown={(e) => { if (e.key === 'Enter') select({ kind: 'pod', id: podName(model, slot) }); }}>
                <td>{podName(model, slot)}</td><td>{STATE_NAMES[model.state[slot]!]}</td><td>{nodeName(model, slot)}</td><td>{QOS_NAMES[model.qos[slot]!]}</td><td>{model.owners[model.owner[slot]!]}</td></tr>
            ))}
            {from + SEEN < slots.length ? <tr><td colSpan={5} style={{ height: (slots.length - from - SEEN) * ROW }} /></tr> : null}
          </tbody>
        </table>
      </section>
    </div>
  );
}
