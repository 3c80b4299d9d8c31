/** How large a picture is, and which of many equal rows of a scrolling box are in sight: pictures draw those only. */
import { useCallback, useEffect, useState } from 'react';

/** The width of an element in px, kept up to date. */
export function useWidth(): [number, React.RefCallback<HTMLElement>] {
  const [width, setWidth] = useState(640);
  const ref = useCallback((box: HTMLElement | null) => {
    if (!box) return;
    const observer = new ResizeObserver(([entry]) => setWidth(entry!.contentRect.width));
    observer.observe(box);
    return () => observer.disconnect();
  }, []);
  return [width, ref];
}

/** The stretch of a scrolling box that is in sight, in px from its top, with half a screen around it. */
export function useSight(): [{ top: number; bottom: number }, React.RefCallback<HTMLElement>] {
  const [sight, setSight] = useState({ top: 0, bottom: 1600 });
  const ref = useCallback((box: HTMLElement | null) => {
    if (!box) return;
    const look = (): void => {
      const margin = Math.max(200, box.clientHeight / 2);
      const top = Math.max(0, box.scrollTop - margin);
      const bottom = box.scrollTop + box.clientHeight + margin;
      // A change of some rows only: scrolling by a pixel draws nothing anew.
      setSight((old) => (Math.abs(old.top - top) < 100 && Math.abs(old.bottom - bottom) < 100 ? old : { top, bottom }));
    };
    look();
    const observer = new ResizeObserver(look);
    observer.observe(box);
    box.addEventListener('scroll', look, { passive: true });
    return () => { observer.disconnect(); box.removeEventListener('scroll', look); };
  }, []);
  return [sight, ref];
}

/** Motion is wanted: not reduced, and not faster than it could be followed. */
export function useMotion(speed: number): boolean {
  const [still, setStill] = useState(() => matchMedia('(prefers-reduced-motion: reduce)').matches);
  useEffect(() => {
    const query = matchMedia('(prefers-reduced-motion: reduce)');
    const changed = (): void => setStill(query.matches);
    query.addEventListener('change', changed);
    return () => query.removeEventListener('change', changed);
  }, []);
  return !still && speed <= 8;
}
