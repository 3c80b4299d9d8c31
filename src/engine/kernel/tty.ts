/** Terminals and pseudo-terminals with a line discipline (N_TTY): see termios(3). */
import type { Termios, Winsize } from './abi.ts';

export interface Tty {
  name: string;
  termios: Termios;
  winsize: Winsize;
  /** Session and foreground process group; 0 = none. */
  session: number;
  foreground: number;
  /** Input after the line discipline, and the line being edited in canonical mode. */
  input: number[];
  line: number[];
  /** End-of-file typed on an empty line. */
  eof: number;
  hungUp: boolean;
  /** Bytes written and not yet taken: by a pty's master, or by the world for a console. */
  output: Uint8Array[];
  index: number;
  isPty: boolean;
}
