/** A boundary between panels: dragged, or moved by arrow keys; double click or Enter folds the panel. */
import css from './frame.module.css';

export function Splitter({ label, edge, value, min, max, onChange, onFold }: {
  label: string; edge: 'left' | 'right' | 'top'; value: number; min: number; max: number; onChange: (value: number) => void; onFold: () => void;
}) {
  const clamp = (wanted: number): void => onChange(Math.round(Math.max(min, Math.min(max, wanted))));
  const down = (event: React.PointerEvent): void => {
    const { clientX, clientY } = event;
    const target = event.currentTarget as HTMLElement;
    target.setPointerCapture(event.pointerId);
    target.onpointermove = (e) => clamp(value + (edge === 'right' ? e.clientX - clientX : edge === 'left' ? clientX - e.clientX : clientY - e.clientY));
    target.onpointerup = () => { target.onpointermove = null; };
  };
  const key = (event: React.KeyboardEvent): void => {
    const grow = edge === 'right' ? 'ArrowRight' : edge === 'left' ? 'ArrowLeft' : 'ArrowUp';
    const shrink = edge === 'right' ? 'ArrowLeft' : edge === 'left' ? 'ArrowRight' : 'ArrowDown';
    if (event.key === grow) clamp(value + 16);
    else if (event.key === shrink) clamp(value - 16);
    else if (event.key === 'Enter') onFold();
    else return;
    event.preventDefault();
  };
  return (
    // biome-ignore lint/a11y/useSemanticElements: a separator that can be moved is a widget
    <div role="separator" aria-label={label} aria-orientation={edge === 'top' ? 'horizontal' : 'vertical'} aria-valuenow={value} aria-valuemin={min} aria-valuemax={max}
      tabIndex={0} className={edge === 'top' ? css.splitH : css.splitV} style={edge === 'left' ? { left: -4 } : edge === 'right' ? { right: -4 } : undefined}
      onPointerDown={down} onKeyDown={key} onDoubleClick={onFold} />
  );
}
