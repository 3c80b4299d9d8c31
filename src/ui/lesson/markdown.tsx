/** Markdown of a lesson, made safe: no scripts, styles, forms or foreign addresses survive. */
import DOMPurify from 'dompurify';
import { marked } from 'marked';
import { useMemo } from 'react';
import css from './lesson.module.css';

const ALLOWED = ['p', 'em', 'strong', 'code', 'pre', 'ul', 'ol', 'li', 'blockquote', 'h2', 'h3', 'h4', 'hr', 'br', 'table', 'thead', 'tbody', 'tr', 'th', 'td', 'kbd', 'sub', 'sup', 'a', 'del'];
export function Markdown({ text }: { text: string }) {
  const html = useMemo(() => DOMPurify.sanitize(marked.parse(text, { async: false }), { ALLOWED_TAGS: ALLOWED, ALLOWED_ATTR: ['href', 'title'], ALLOWED_URI_REGEXP: /^(?:https?:|#)/i }), [text]);
  // biome-ignore lint/security/noDangerouslySetInnerHtml: sanitised one line above
  return <div className={css.text} dangerouslySetInnerHTML={{ __html: html }} />;
}
