/** A container's image: there, pulled, waited for, or refused, by its policy. Source: pkg/kubelet/images/image_manager.go 1.32. Left out: pull secrets. */
import { SECOND } from '../../../sim/units.ts';
import type { Call } from '../../lib/http.ts';
import { cri, refused } from '../cri.ts';
import { say } from '../node.ts';
import { fieldOf, longer, monotonic, type Runner, tooEarly, type Work } from './work.ts';

/** Between two looks at a container that could not be started: the pod worker's own pace, s. */
export const PACE = 10;

/** A name that no registry could have; why, in the words of the reference's grammar. */
function fault(image: string): string | null {
  if (/^(?:[a-zA-Z0-9.-]+(?::\d+)?\/)?[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*(?::[\w][\w.-]{0,127})?(?:@sha256:[0-9a-f]{64})?$/.test(image)) return null;
  const name = image.replace(/:[\w][\w.-]*$/, '');
  const full = name.includes('/') ? name : `library/${name}`;
  return /[A-Z]/.test(name) && /^[\w./-]+$/.test(name) ? `invalid reference format: repository name (${full}) must be lowercase` : 'invalid reference format';
}

function* waits(w: Work, r: Runner, reason: string, message: string): Call<false> {
  r.state = { waiting: { reason, message } };
  r.notBefore = (yield* monotonic()) + PACE * SECOND;
  yield* say(w.k, w.held.pod, 'Warning', 'Failed', `Error: ${reason}`, fieldOf(r));
  return false;
}

/** Is the image here to be run? What is in the way is said and becomes the container's state. */
export function* ensureImage(w: Work, r: Runner): Call<boolean> {
  const { pod } = w.held;
  const { image } = r.spec;
  const wrong = fault(image);
  if (wrong) {
    const message = `Failed to apply default image tag "${image}": couldn't parse image name "${image}": ${wrong}`;
    yield* say(w.k, pod, 'Warning', 'InspectFailed', message, fieldOf(r));
    return yield* waits(w, r, 'InvalidImageName', message);
  }
  const present = yield* cri('ImageStatus', { image: { image } });
  const here = !refused(present) && present.image?.id !== undefined;
  const policy = r.spec.imagePullPolicy ?? 'IfNotPresent';
  if (here && policy !== 'Always') {
    yield* say(w.k, pod, 'Normal', 'Pulled', `Container image "${image}" already present on machine`, fieldOf(r));
    r.imageId = present.image.id;
    return true;
  }
  if (policy === 'Never') {
    const message = `Container image "${image}" is not present with pull policy of Never`;
    yield* say(w.k, pod, 'Warning', 'ErrImageNeverPull', message, fieldOf(r));
    return yield* waits(w, r, 'ErrImageNeverPull', message);
  }
  return yield* pull(w, r, image);
}

function* pull(w: Work, r: Runner, image: string): Call<boolean> {
  const { pod } = w.held;
  const now = yield* monotonic();
  if (r.pull && tooEarly(r.pull, r.pull.at, now)) {
    yield* say(w.k, pod, 'Normal', 'BackOff', `Back-off pulling image "${image}"`, fieldOf(r));
    return yield* waits(w, r, 'ImagePullBackOff', `Back-off pulling image "${image}": ErrImagePull: ${r.pull.why}`);
  }
  yield* say(w.k, pod, 'Normal', 'Pulling', `Pulling image "${image}"`, fieldOf(r));
  const pulled = yield* cri('PullImage', { image: { image }, sandboxConfig: w.sandboxConfig });
  const then = yield* monotonic();
  if (refused(pulled)) {
    yield* say(w.k, pod, 'Warning', 'Failed', `Failed to pull image "${image}": ${pulled.error}`, fieldOf(r));
    r.pull = { ...longer(r.pull, then, then), why: pulled.error };
    yield* waits(w, r, 'ErrImagePull', pulled.error);
    // The pod worker's queue comes back at once with a jitter; what it finds then is the back-off.
    r.notBefore = then + 1.5 * SECOND;
    return false;
  }
  const took = Math.round((then - now) / 1e6);
  const shown = took < 1000 ? `${took}ms` : `${took / 1000}s`;
  const status = yield* cri('ImageStatus', { image: { image } });
  r.imageId = String(status.image?.id ?? pulled.imageRef ?? '');
  yield* say(w.k, pod, 'Normal', 'Pulled', `Successfully pulled image "${image}" in ${shown} (${shown} including waiting). Image size: ${Number(status.image?.size ?? 0)} bytes.`, fieldOf(r));
  r.pull = null;
  return true;
}
