/** The text of one file at a time out of a few, as the machine reads it now; and the command that prints the same. */
import { useState } from 'react';
import type { FileLineRow } from '../../../bridge/rows.ts';
import { useRows } from '../../bridge/client.ts';
import { Part } from '../../frame/inspected.tsx';
import { Runnable } from '../../parts/parts.tsx';
import css from './containers.module.css';

export function Files({ base, names, host, first, title = 'Its files' }: { base: string; names: readonly string[]; host: string; first: string; title?: string }) {
  const [asked, ask] = useState(first);
  const name = names.includes(asked) ? asked : (names[0] ?? first);
  const rows = useRows<FileLineRow>('file-text', { host, path: `${base}/${name}` });
  return (
    <Part title={title} sub={base}>
      <select className={css.select} aria-label="Which file" value={name} onChange={(e) => ask(e.target.value)}>{names.map((one) => <option key={one}>{one}</option>)}</select>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls */}
      <section className={css.file} tabIndex={0} aria-label={`Text of ${name}`}>{rows.length === 0 ? '(empty)' : rows.map((row) => row.text).join('\n')}</section>
      <Runnable line={`${name === 'ns' ? 'ls -l' : 'cat'} ${base}/${name}`} />
    </Part>
  );
}
