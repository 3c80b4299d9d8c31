/** Small parts used everywhere: addresses, runnable commands, empty states, segmented controls, tables of rows. */
import { Download } from 'lucide-react';
import { Fragment, type ReactNode } from 'react';
import { big, seconds } from '../format.ts';
import { run } from '../session/session.ts';
import { OutcomeMark } from './marks.tsx';
import css from './parts.module.css';

export type Space = 'gva' | 'gpa' | 'hpa';
/** An address in its hue and underline; leading zeros light; groups of four by margin, so that it copies as one token. */
export function Address({ value, space, tag = false, digits = 0 }: { value: string; space: Space; tag?: boolean; digits?: number }) {
  if (value === '') return null;
  const text = big(value).toString(16).padStart(digits, '0');
  const groups: { from: number; text: string; light: boolean }[] = [];
  for (let end = text.length; end > 0; end -= 4) groups.unshift({ from: text.length - end, text: text.slice(Math.max(0, end - 4), end), light: end < text.length && /^0+$/.test(text.slice(0, end)) });
  return (
    <>
      {tag ? <span className={`${css.tag} ${css[space]}`}>{space.toUpperCase()}</span> : null}
      <span className={`${css.address} ${css[space]}`}>
        <span>0x</span>{groups.map((g) => <span key={g.from} className={css.group} style={{ fontWeight: g.light ? 400 : 600 }}>{g.text}</span>)}
      </span>
    </>
  );
}

export function Runnable({ line, prompt = '#' }: { line: string; prompt?: string }) {
  return (
    <div className={css.run}>
      <i aria-hidden="true">{prompt}</i><code title={line}>{line}</code>
      <button type="button" className={`${css.button} ${css.small}`} aria-label={`Run ${line}`} onClick={() => void run(line)}>Run</button>
    </div>
  );
}

export function Empty({ title, children, line }: { title: string; children: ReactNode; line?: string }) {
  return <div className={css.empty}><h3>{title}</h3><p>{children}</p>{line ? <Runnable line={line} /> : null}</div>;
}
export function Problem({ title, children }: { title: string; children: ReactNode }) {
  return <div className={css.error} role="alert"><OutcomeMark outcome="warn" /><div><b>{title}</b><div>{children}</div></div></div>;
}

export function Segments<T extends string>({ label, value, options, onChange }: { label: string; value: T; options: readonly (readonly [T, string])[]; onChange: (value: T) => void }) {
  return (
    <fieldset className={css.segments} style={{ padding: 0, margin: 0 }} aria-label={label}>
      {options.map(([id, name]) => <button type="button" key={id} aria-pressed={id === value} onClick={() => onChange(id)}>{name}</button>)}
    </fieldset>
  );
}

export function Facts({ facts }: { facts: readonly (readonly [string, ReactNode])[] }) {
  return <dl className={css.facts}>{facts.filter(([, v]) => v !== null && v !== '' && v !== undefined).map(([name, value]) => <Fragment key={name}><dt>{name}</dt><dd>{value}</dd></Fragment>)}</dl>;
}

/** Rows as a file for a spreadsheet: a header line, then a line a row (RFC 4180). */
export function CsvButton({ name, rows }: { name: string; rows: readonly object[] }) {
  return <button type="button" className={`${css.button} ${css.small}`} disabled={rows.length === 0} aria-label={`Download ${name} as CSV`} title="Download as CSV" onClick={() => saveAs(`${name}.csv`, csvOf(rows), 'text/csv')}><Download size={13} aria-hidden="true" />CSV</button>;
}
export function csvOf(rows: readonly object[]): string {
  const columns = Object.keys(rows[0] ?? {}).filter((name) => name !== 'key');
  const quoted = (value: unknown): string => { const text = String(value ?? ''); return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text; };
  return [columns, ...rows.map((row) => columns.map((name) => (row as Record<string, unknown>)[name]))].map((line) => line.map(quoted).join(',')).join('\r\n') + '\r\n';
}
export function saveAs(name: string, content: string | Blob, type: string): void {
  const url = URL.createObjectURL(new Blob([content], { type }));
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

/** The text twin of a picture: its rows as they are. */
export function RowsTable({ title, rows, most = 500 }: { title: string; rows: readonly object[]; most?: number }) {
  const columns = Object.keys(rows[0] ?? {}).filter((name) => name !== 'key');
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable
    <section className={css.tableWrap} tabIndex={0} aria-label={title}>
      <div className={css.export}><CsvButton name={title.toLowerCase().replace(/[^a-z0-9]+/g, '-')} rows={rows} /></div>
      <table className={css.rows}>
        <caption>{title} ({rows.length === 0 ? 'no rows' : `${rows.length}${rows.length > most ? `, the first ${most}` : ''}`})</caption>
        <thead><tr>{columns.map((name) => <th key={name} scope="col">{words(name)}</th>)}</tr></thead>
        <tbody>{rows.slice(0, most).map((row) => <tr key={String((row as { key: string }).key)}>{columns.map((name) => <td key={name}>{cell(name, (row as Record<string, unknown>)[name])}</td>)}</tr>)}</tbody>
      </table>
    </section>
  );
}
const words = (name: string): string => name.replace(/([a-z])([A-Z])/g, '$1 $2').toLowerCase();
/** Simulated times as seconds; everything else as the row has it. */
const cell = (name: string, value: unknown): string => (typeof value === 'number' && (name === 't' || /At$/.test(name)) ? seconds(value) : String(value ?? ''));
export { css as partsCss };
