/** One terminal on the screen: xterm joined to a tty, sized to its panel, with links to what it names. */
import { FitAddon } from '@xterm/addon-fit';
import { Terminal } from '@xterm/xterm';
import '@xterm/xterm/css/xterm.css';
import { act } from '../session/session.ts';
import { get, toast, useStore } from '../store.ts';
import { listen, textOf } from './buffers.ts';
import { linksOf } from './links.ts';

const sizes = new Map<string, string>();

function colours(): { background: string; foreground: string; cursor: string; cursorAccent: string; selectionBackground: string } & Record<string, string> {
  const style = getComputedStyle(document.documentElement);
  const of = (name: string): string => style.getPropertyValue(name).trim();
  return {
    background: of('--sunken'), foreground: of('--ink'), cursor: of('--now'), cursorAccent: of('--on-now'), selectionBackground: of('--ghost'),
    black: of('--ink'), red: of('--killed-ink'), green: of('--ok-ink'), yellow: of('--warn-ink'), blue: of('--guest-kernel-ink'), magenta: of('--hypervisor-ink'), cyan: of('--container-ink'), white: of('--ink-2'),
    brightBlack: of('--ink-3'), brightRed: of('--killed-ink'), brightGreen: of('--ok-ink'), brightYellow: of('--warn-ink'), brightBlue: of('--guest-kernel-ink'), brightMagenta: of('--hypervisor-ink'), brightCyan: of('--container-ink'), brightWhite: of('--ink'),
  };
}
const fontSize = (): number => (get().theme === 'projector' ? 16 : 13);

export function openScreen(box: HTMLElement, tty: string): () => void {
  const terminal = new Terminal({
    fontFamily: '"JetBrains Mono Variable", ui-monospace, monospace', fontSize: fontSize(), lineHeight: 1.12, cursorBlink: !matchMedia('(prefers-reduced-motion: reduce)').matches,
    scrollback: 5000, theme: colours(), allowProposedApi: false, minimumContrastRatio: 4.5,
  });
  const fit = new FitAddon();
  terminal.loadAddon(fit);
  terminal.open(box);
  terminal.textarea?.setAttribute('aria-label', `Terminal ${tty}. F6 leaves it.`);
  const tell = (): void => {
    const { t, end, ready, seeking } = get();
    const size = `${terminal.cols}x${terminal.rows}`;
    // A size is an input like any other: in the past it would drop what came after, so it waits.
    if (!ready || seeking !== null || t < end || sizes.get(tty) === size || terminal.cols < 4) return;
    sizes.set(tty, size);
    void act({ do: 'resize', tty, cols: terminal.cols, rows: terminal.rows });
  };
  let resizing = 0;
  const refit = (): void => {
    if (box.clientWidth < 20 || box.clientHeight < 20) return;
    fit.fit();
    clearTimeout(resizing);
    resizing = window.setTimeout(tell, 200);
  };
  const observer = new ResizeObserver(refit);
  observer.observe(box);
  refit();
  void document.fonts.ready.then(refit);
  terminal.write(textOf(tty));
  const deaf = listen(tty, (data, reset) => {
    if (reset) terminal.reset();
    if (data !== '') terminal.write(data);
  });
  const typing = terminal.onData((data) => {
    void act({ do: 'type', tty, data });
  });
  terminal.attachCustomKeyEventHandler((event) => {
    if (event.type !== 'keydown') return event.key !== 'F6';
    if (event.key === 'F6') return false;
    if (event.ctrlKey && event.shiftKey && event.code === 'KeyC') {
      void navigator.clipboard.writeText(terminal.getSelection()).catch(() => toast('The browser did not allow copying', true));
      event.preventDefault();
      return false;
    }
    if (event.ctrlKey && event.shiftKey && event.code === 'KeyV') return false;
    return true;
  });
  const links = terminal.registerLinkProvider({
    provideLinks(y, callback) {
      const line = terminal.buffer.active.getLine(y - 1)?.translateToString(true) ?? '';
      callback(linksOf(line).map(({ at, text, go }) => ({ text, range: { start: { x: at + 1, y }, end: { x: at + text.length, y } }, activate: go })));
    },
  });
  const themed = useStore.subscribe((now, before) => {
    if (now.theme !== before.theme) {
      requestAnimationFrame(() => {
        terminal.options.theme = colours();
        terminal.options.fontSize = fontSize();
        refit();
      });
    }
    if (now.ready !== before.ready || now.seeking !== before.seeking) tell();
  });
  if (document.activeElement === document.body || document.activeElement?.closest('#terminal')) terminal.focus();
  return () => {
    clearTimeout(resizing);
    observer.disconnect();
    deaf();
    typing.dispose();
    links.dispose();
    themed();
    terminal.dispose();
  };
}
