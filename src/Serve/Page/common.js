'use strict';
/** What the scripts of all areas have in common. */
const page = (() => {
  const $ = id => document.getElementById(id);
  const percent = p => (100 * p).toFixed(p > 0 && p < 0.0995 || p >= 0.9995 && p < 1 ? 1 : 0) + ' %';
  const clock = s => Math.floor(s / 60) + ':' + (Math.floor(s * 10) / 10 % 60).toFixed(1).padStart(4, '0');
  const plural = (n, one, many) => n + ' ' + (n === 1 ? one : many);

  function fill(made, attributes, children) {
    for (const [key, value] of Object.entries(attributes || {})) made.setAttribute(key, value);
    made.append(...children);
    return made;
  }

  const element = (name, attributes, ...children) => fill(document.createElement(name), attributes, children);
  const svg = (name, attributes, ...children) => fill(document.createElementNS('http://www.w3.org/2000/svg', name), attributes, children);

  function show(id, text) {
    $(id).textContent = text;
    $(id).hidden = !text;
  }

  /** For screen readers: what changed, once. */
  function say(text) {
    if ($('say').textContent !== text) $('say').textContent = text;
  }

  async function call(path, options) {
    let answer;
    try {
      answer = await fetch(path, options);
    } catch {
      throw new Error('The server does not answer. Is it still running?');
    }
    if (answer.status === 401) location.assign('/login');
    if (answer.ok) return answer.status === 204 ? null : answer.json();
    let message = 'The server answered with an error (' + answer.status + ').';
    try {
      message = (await answer.json()).error.message;
    } catch { /* not one of ours */ }
    throw Object.assign(new Error(message), { status: answer.status });
  }

  /** Keeps a page that the server draws up to date: takes the parts of it that have changed, every so many milliseconds. */
  function follow(id, pause, changed) {
    const gone = element('p', { class: 'note', role: 'status' });
    gone.hidden = true;
    document.querySelector('main').before(gone);

    async function refresh() {
      try {
        const answer = await fetch(location.pathname, { headers: { Accept: 'text/html' } });
        const next = new DOMParser().parseFromString(await answer.text(), 'text/html').querySelector('main');
        if (!next.querySelector('#' + id)) return location.reload();
        gone.hidden = true;
        await merge(document.querySelector('main'), next);
        changed();
      } catch {
        gone.textContent = 'The server does not answer. Is it still running?';
        gone.hidden = false;
      }
      setTimeout(refresh, pause);
    }

    setTimeout(refresh, pause);
  }

  /** Puts in what is new and takes out what is gone; what is on both sides stays where it is, and what somebody opened stays open. */
  async function merge(old, next) {
    let before = old.firstElementChild;
    for (const part of [...next.children]) {
      if (!before || before.tagName !== part.tagName || before.id !== part.id) {
        old.insertBefore(part, before);
        continue;
      }
      const after = before.nextElementSibling;
      await update(before, part);
      before = after;
    }
    while (before) {
      const after = before.nextElementSibling;
      before.remove();
      before = after;
    }
  }

  /** Replaces the smallest parts that differ, pictures once they are loaded, so that nothing flickers. */
  async function update(before, part) {
    if (before.hasAttribute('open')) part.setAttribute('open', '');
    if (part.outerHTML === before.outerHTML) return;
    const hasText = [...part.childNodes].some(node => node.nodeType === Node.TEXT_NODE && node.data.trim());
    if (part.tagName === 'IMG') {
      const picture = new Image();
      picture.src = part.getAttribute('src');
      await picture.decode().catch(() => {});
      before.setAttribute('src', part.getAttribute('src'));
    } else if (part.children.length && !hasText && part.cloneNode(false).outerHTML === before.cloneNode(false).outerHTML) {
      await merge(before, part);
    } else before.replaceWith(part);
  }

  return { $, percent, clock, plural, element, svg, show, say, call, follow };
})();
