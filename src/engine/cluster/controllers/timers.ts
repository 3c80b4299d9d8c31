/** How long controllers wait. Source: kube-controller-manager 1.32 defaults. */
import { MS, SECOND } from '../../sim/units.ts';

/** From a change to the controller that acts on it. */
export const SYNC_DELAY = 5 * MS;
/** Between two passes of one controller at least. */
export const SYNC_PAUSE = 40 * MS;
export const TICK = 5 * SECOND;
/** A node that has not renewed its lease for so long is unreachable. */
export const NODE_GRACE_SECONDS = 40;
export const HOUR_SECONDS = 3600;
/** Pods made or deleted by one pass of a ReplicaSet at most. */
export const BURST = 500;
