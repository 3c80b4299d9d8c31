/**
 * The ways to PATCH: JSON merge patch (RFC 7396), strategic merge patch (lists of named things merge by their key),
 * JSON patch (RFC 6902).
 */
import { ApiError, badRequest } from './errors.ts';
import { jsonPatch as patched } from './types/jsonpatch.ts';
import type { Json } from './types/objects.ts';

export { strategicPatch } from './types/strategic.ts';

/** A patch that does not apply is answered as the real server does: 422, without saying which operation. */
export function jsonPatch(target: Json, operations: Json): Json {
  if (!Array.isArray(operations)) throw badRequest('json: cannot unmarshal object into Go value of type jsonpatch.Patch');
  const done = patched(target, operations);
  if (typeof done === 'string') throw new ApiError(422, 'Invalid', 'the server rejected our request due to an error in our request', {});
  return done;
}
