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

  return { $, percent, clock, plural, element, svg, show, say, call };
})();
