"""Use the node from a program that speaks the OpenAI API, changing nothing but two variables of its environment.

Somebody has to sell `chat`: a peer, or this node (`coalesced sell --openai URL --model M`).

coalesced start --openai-port 7780
OPENAI_BASE_URL=http://127.0.0.1:7780/v1 OPENAI_API_KEY="$(coalesced gateway token)" python openai_client.py
"""

import openai

client = openai.OpenAI()
reply = client.chat.completions.with_raw_response.create(
    model="auto",
    messages=[{"role": "user", "content": "Sum up: Rain fell all day. The river rose by a metre. Nobody was hurt."}],
    max_tokens=100,
    extra_body={"coalesced": {"budget": "0.05", "deadline_s": 60}},
)
print(reply.parse().choices[0].message.content)
for name in ("decision", "seller", "cost", "why"):
    print(f"{name}: {reply.headers.get(f'x-coalesced-{name}', '-')}")

stream = client.chat.completions.create(
    model="auto", messages=[{"role": "user", "content": "Sum up: The sun came out."}], stream=True
)
print("".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices))
