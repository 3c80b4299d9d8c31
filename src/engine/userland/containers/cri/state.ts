/** What the container runtime interface keeps: sandboxes and containers. */
import type { Daemon } from '../containerd/daemon.ts';

export interface Cri {
  d: Daemon;
}
