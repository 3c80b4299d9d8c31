/** Says the last thing that happened, for those who listen; never more often than once in two seconds. */
import { useEffect, useRef, useState } from 'react';
import type { MarkRow } from '../../bridge/rows.ts';
import { useRows } from '../bridge/client.ts';

export function Announcer() {
  const marks = useRows<MarkRow>('marks');
  const [said, say] = useState('');
  const waiting = useRef(0);
  const newest = marks[marks.length - 1]?.text ?? '';
  const latest = useRef(newest);
  latest.current = newest;
  useEffect(() => {
    if (newest === '' || waiting.current) return;
    waiting.current = window.setTimeout(() => {
      waiting.current = 0;
      say(latest.current);
    }, 2000);
  }, [newest]);
  return <div className="sr" aria-live="polite">{said}</div>;
}
